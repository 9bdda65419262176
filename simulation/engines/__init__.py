"""The engines that turn a scenario into what happened."""
