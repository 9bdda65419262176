"""The kernel's memory: records at addresses.

Every function of the kernel takes the address of one `HEADER` and finds all other records from there.
Records at addresses have no reference counts, and a function with one number as its argument is fast
to call and to compile. Plain Numba counts references to arrays at every call and was six times slower.
The arrays themselves are numpy's and belong to `simulation.engines.compiled.memory`, which makes an
array larger when the kernel reports that it is nearly full.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simulation.results.request_ends import LATE
from simulation.results.tally import BIN, BUCKET, LOSS

DISABLED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]  # made at run time
"""True where Numba's compiler is off and the kernel runs as plain Python."""


def view(dtype: np.dtype[Any]) -> Any:
    """Return a function for compiled code: base address, index → the record of this type there.

    With Numba's compiler off (``NUMBA_DISABLE_JIT=1``) the function works in Python. The whole kernel
    then runs slowly as plain Python, for debugging and for trying a change.
    """
    size = dtype.itemsize
    if DISABLED:
        kinds = {name: np.ctypeslib.as_ctypes_type(dtype[name]) for name in dtype.names or ()}
        structure: Any = type("Record", (ctypes.Structure,), {"_fields_": list(kinds.items())})
        return lambda base, index: structure.from_address(base + index * size)
    record = numba.from_dtype(dtype)

    @intrinsic
    def at(_typing: Any, _base: Any, _index: Any) -> Any:
        signature = record(types.int64, types.int64)

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            base, index = arguments
            offset = builder.mul(index, ir.Constant(ir.IntType(64), size))
            start = builder.inttoptr(base, ir.IntType(8).as_pointer())
            return builder.bitcast(builder.gep(start, [offset]), context.get_value_type(record))

        return signature, generate

    return at


def _bits_of() -> Any:
    """Return a function for compiled code: a float → its bits as an integer."""
    if DISABLED:
        return lambda value: int(np.float64(value).view(np.int64))

    @intrinsic
    def bits(_typing: Any, _value: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.IntType(64))

        return types.int64(types.float64), generate

    return bits


bits_of = _bits_of()


def _lowest_bit() -> Any:
    """Return a function for compiled code: an integer other than 0 → the index of its lowest set bit."""
    if DISABLED:
        return lambda bits: (bits & -bits).bit_length() - 1

    @intrinsic
    def lowest(_typing: Any, _bits: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.int64), generate

    return lowest


lowest_bit = _lowest_bit()


def _dtype(**fields: str) -> np.dtype[Any]:
    """Return a record type from field names by their type; give wide types first to save space."""
    pairs = [(name, kind) for kind, names in fields.items() for name in names.split()]
    return np.dtype(pairs, align=True)


HEADER = _dtype(
    f8="now target t0 backlog_rest per_width lane_time check_time bins_per_s slow_over limit edge",
    u8="key",
    # Addresses.
    i8="services instances classes attempts calls timers heap bins lanes nodes freed signals rows"
    " route times demands kinds sessions loop_think loop_demand loop_kind loop_session"
    " loop_place loop_sequence scratch next_wants shared"
    # The sizes of the arrays, and how much of each is used.
    " service_count class_count lane_count route_max attempt_cap attempt_used attempt_free alive needs"
    " timer_cap timer_used timer_free timer_count heap_count bin_mask bin binned node_cap node_used"
    " node_free node_count freed_first freed_count freed_cap signal_count signal_cap row_count"
    " row_cap keeps_rows is_fast watch_count instance_count free_at slots_max wheels recent recent_count tight"
    # Counts.
    " totals latencies waits tally_bins bin_latencies losses loss_count loss_cap"
    " late late_count late_cap class_ends class_latencies"
    # Requests that were drawn ahead.
    " chunk_place chunk_count chunk_first chunk_over client_count loop_width loop_dry"
    # State.
    " sequence waiting highest backlog_level lane_best check_service check_is_end",
)

SERVICE = _dtype(
    f8="queue_timeout connect_delay slow_start old_factor old_error new_factor new_error cold_factor"
    " cold_decay cold_requests interval timeout first_check max_age",
    u8="key",
    i8="lowest level_cap first count policy counts at_balancer pulls sticky requeue queue_limit lane connect_attempts"
    " redispatch is_even believed_count waiting old_is_wrong next changes head tail leaf_count leaves"
    " tree may believed sticky_instances favourite eligible in_count has_checks rise fall"
    " check_order begins_place begins_number ends_place ends_number keeps_log log log_count log_cap"
    " shared_first shared_count shared_next",
)

INSTANCE = _dtype(  # fields that every request reads come first
    u1="listening new_version announced is_up removed is_believed watch_idle watch_healthy",
    i4="taken slots connections service limit queued open at_work head tail contrary passed"
    " shared_open closes",
    f8="speed started last weight base_weight credit first_check",
    i8="check_even check_odd ramp begun",
)

CLASS = _dtype(
    f8="timeout backoff factor jitter budget again_backoff again_factor again_jitter handshake",
    i8="holds_slot cancels attempts cut reconnects draws_demand route_length lane sent sent_first sent_next"
    " sent_mask retried retried_first retried_next retried_mask apart",
)

ATTEMPT = _dtype(
    f8="arrival request_time want",
    i8="order number session row client",
    i4="kind tries outcome first next live free_next",
    u1="to_come superseded exposed is_free reconnection next_reconnection",
)

CALL = _dtype(
    f8="want demand arrival start gives_up",
    i4="state service instance generation tries outcome shared",
    u1="takes_slot new_version requeued is_handshake",
)

SHARED = _dtype(i4="instance in_flight openings is_old")
TIMER = _dtype(f8="time", i8="key sequence", i4="purpose slot generation next")
ENTRY = _dtype(f8="time", i8="key", i4="value next")
WHEEL = _dtype(f8="bins_per_s", i8="bins words entries mask place count used free cap")
LANE = _dtype(i8="entries first next mask waits")
NODE = _dtype(i4="slot generation next")
SIGNAL = _dtype(i4="kind which")
LEAF = _dtype(f8="load", i8="changed", i4="before after is_listed")

ROW = _dtype(f8="arrival start finish", i4="instance outcome attempts kind", u1="new_version")
ENDED = _dtype(f8="finish latency", i4="outcome", u1="new_version served takes_slot")

F8, I8, I4, U4, U1 = (np.dtype([("v", kind)]) for kind in ("f8", "i8", "i4", "u4", "u1"))

header_at = view(HEADER)
service_at = view(SERVICE)
instance_at = view(INSTANCE)
class_at = view(CLASS)
attempt_at = view(ATTEMPT)
call_at = view(CALL)
shared_at = view(SHARED)
timer_at = view(TIMER)
entry_at = view(ENTRY)
wheel_at = view(WHEEL)
lane_at = view(LANE)
node_at = view(NODE)
signal_at = view(SIGNAL)
leaf_at = view(LEAF)
row_at = view(ROW)
ended_at = view(ENDED)
loss_at = view(LOSS)
late_at = view(LATE)
bucket_at = view(BUCKET)
bin_at = view(BIN)
f8_at, i8_at, i4_at, u4_at, u1_at = (view(kind) for kind in (F8, I8, I4, U4, U1))

# Reasons for which the kernel returns.
DONE, FULL, NEXT_CHUNK, NEXT_CLIENTS = range(4)

# Signals of the kernel to control.
IDLE, HEALTHY, BACKLOG_DOWN, RAMP, NEW_LIFE, NEW_DEMAND = range(6)

# Actions of control.
ADVANCE, SET_POOL, SET_SHARE, SET_LISTENING, CUT_ALL, CRASH, BEGIN_RUN, OPEN_CONNECTIONS = range(8)
OPEN_SHARED, SET_CLOSES, CLOSE_SHARED = range(8, 11)

# What the attempt after another asks for: the same demands, or those in ``next_wants``.
SAME_DEMAND, DRAWN_DEMAND = 1, 2

# Purposes of timers.
COMPLETE, RETRY, PICK_AGAIN, CONNECT_AGAIN, SEND_NEXT, BEGIN_SERVICE, CLIENT_TIMEOUT, AGE = range(8)

# The wheels of the fast path.
DEPARTURES, WAITS, RETRIES = range(3)
RECENT = 64
"""Maximum number of waits in the plain list; further ones go onto the wheel `WAITS`."""

# Policies.
ROUND_ROBIN, WEIGHTED_ROUND_ROBIN, LEAST, WEIGHTED_LEAST, RANDOM, TWO, HASH = range(7)
