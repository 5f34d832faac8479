"""Learning from annotations: pool, batches, trainer, evaluation, checkpoints. Runs on the worker thread.

This file imports nothing, so that torch-free rooms may import `engine.learn.checkpoint_files`.
"""
