"""The network: its configuration, its torch form for training, its ONNX form for everything else."""
