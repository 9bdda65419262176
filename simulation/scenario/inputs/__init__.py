"""Inputs that vary as a whole: the steps of an update, and factors on uncertain inputs."""
