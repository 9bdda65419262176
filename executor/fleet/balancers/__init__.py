"""What routes the requests: one file a balancer, over one small interface."""
