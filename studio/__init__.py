"""The parts that people see: the command line, the charts and the windows."""
