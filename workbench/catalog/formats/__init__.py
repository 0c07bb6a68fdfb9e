"""Readers of what bureaus hand over: encodings, file geodatabases, drawings, workbooks, OpenStreetMap extracts, timetables, datums."""
