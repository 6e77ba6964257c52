"""Dense CRF: mean field on a permutohedral lattice."""
