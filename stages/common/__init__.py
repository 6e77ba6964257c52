"""What stages share: places, context, checkpoints, the digest of their code, and the runner."""
