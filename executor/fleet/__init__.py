"""The fleet of a plan: its inventory, balancer, machines and instances."""
