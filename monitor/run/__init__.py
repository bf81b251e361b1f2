"""What a training process uses: `init`, `Run`, what is captured of its surroundings, and its journal's upkeep."""
