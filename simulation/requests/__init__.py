"""The parts that both engines share: arrivals, random draws, policies, the balancer's belief."""
