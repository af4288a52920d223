"""Training: sessions of features and curves, losses, the loop. Needs the extra `train`."""
