"""Real servers on free loopback ports, one plugin each, for every test that wants one."""

pytest_plugins = [
    "tests.servers.nats",
    "tests.servers.s3",
    "tests.servers.dns",
    "tests.servers.sink",
    "tests.servers.databases",
    "tests.servers.postfix",
]
