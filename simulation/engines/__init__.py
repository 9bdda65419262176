"""The engines that simulate the requests of a scenario."""
