from simulation.traffic import Streams as _Streams, purpose_stream, BLOCK
import numpy as np


class Streams(_Streams):
    def __init__(self, rates, demands, shares, session_count, *, seed, replication):
        super().__init__(
            rates,
            [one[0] for one in demands],
            shares,
            session_count,
            seed=seed,
            replication=replication,
        )
        self.demands = demands
        self._deep = max(map(len, demands))
        self._rng = purpose_stream(seed, replication, "demands", 99)
        self._dd = demands

    def next_block(self):
        a, d, c, s = super().next_block()
        cols = [d]
        for place in range(1, self._deep):
            col = np.full(len(d), np.nan)
            for k, route in enumerate(self._dd):
                if len(route) > place:
                    drawn = route[place].sample_s(self._rng, len(d))
                    col = np.where(c == k, drawn, col)
            cols.append(col)
        return a, np.stack(cols, axis=1), c, s


class ClosedLoop:
    def __init__(self, traffic, demands, draws):
        self.demands = demands
        self.draws = draws
        self.client_count = 0
