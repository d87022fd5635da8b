"""How certain a comparison is: intervals, tests and groups, computed from tables that name no experiment."""
