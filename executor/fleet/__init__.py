"""The machines that a plan is carried out on, and how each is reached."""
