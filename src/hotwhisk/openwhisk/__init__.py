"""What the OpenWhisk platform demands: bodies, answers, sentinels."""
