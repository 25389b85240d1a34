"""A show of the whole path on one machine: three brokers, the EPJ and portal simulators beside them, and a verdict.

The simulators know only the HTTP API, so that other harnesses (kill, load) can put them beside any broker.
"""
