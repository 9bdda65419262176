"""What both engines share: arrivals, draws, policies, what the balancer believes."""
