"""The board of an import plan: proposed groups that a person arranges before the import.

Each change locks the plan and raises its version.
"""
