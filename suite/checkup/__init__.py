"""The checkup of one architecture or one task: its whole contract, and what can be measured of it in a minute."""
