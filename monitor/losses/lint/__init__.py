"""What is wrong with a loss function: checks that call it, each with its evidence and the mend."""
