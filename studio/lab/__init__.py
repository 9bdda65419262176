"""The loopback fleet: HAProxy, instances and load, to hold a forecast against what happens."""
