"""The machine: processes, files, time, the pusher's terminal; knows no domain word."""
