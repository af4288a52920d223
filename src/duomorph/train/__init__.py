"""Training: sessions of features and curves, losses, the loop, and what is published. Needs the extra `train`.

    duomorph train -o runs/first --train.epochs 30 --model.front 128
    duomorph export runs/first/checkpoint.pt -o src/duomorph/weights
"""
