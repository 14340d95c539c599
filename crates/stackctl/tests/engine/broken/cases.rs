//! The broken stacks.

use super::{Broken, broken};

/// Containers that end.
pub(super) fn ends() -> Vec<Broken> {
    vec![
        broken(
            "an error of the program",
            "services:\n  db:\n    image: redis:latest\n    command: [sh, -c, 'echo starting; echo FATAL bad password >&2; exit 3']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n  app:\n    image: redis:latest\n    depends_on: { db: { condition: service_healthy } }\n",
            &[
                "db/1 is not ready: ended with exit code 3; app waits for it",
                "stderr FATAL bad password",
                "stdout starting",
                "state exited, exit code 3, ran for",
                "stackctl logs db",
                "stack.yaml:2:3",
                "app/1 was not brought up, because db/1 is not ready",
            ],
        ),
        broken(
            "a command that may not be executed",
            "services:\n  web:\n    image: redis:latest\n    command: [sh, -c, /etc/passwd]\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &[
                "ended with exit code 126: the command was found but may not be executed",
                "Permission denied",
                "correct the command or the entrypoint",
                "stack.yaml:4:14",
            ],
        ),
        broken(
            "a command that is not there",
            "services:\n  web:\n    image: redis:latest\n    command: [nosuchprogram]\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &[
                "ended with exit code 127: the command was not found",
                "nosuchprogram: not found",
                "correct the command or the entrypoint",
                "stack.yaml:4:14",
            ],
        ),
        broken(
            "killed",
            "services:\n  web:\n    image: redis:latest\n    init: true\n    command: [sh, -c, 'kill -KILL $$$$']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &[
                "web/1 is not ready: ended with exit code 137: killed (SIGKILL)",
                "it has written nothing",
                "stackctl logs web",
            ],
        ),
        broken(
            "a crash",
            "services:\n  web:\n    image: redis:latest\n    init: true\n    command: [sh, -c, 'kill -SEGV $$$$']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &["exit code 139: crashed on memory that is not its own (SIGSEGV)", "stack.yaml:2:3"],
        ),
        broken(
            "ended by request",
            "services:\n  web:\n    image: redis:latest\n    init: true\n    command: [sh, -c, 'kill -TERM $$$$']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &["exit code 143: ended by request (SIGTERM)"],
        ),
        broken(
            "given up",
            "services:\n  web:\n    image: redis:latest\n    init: true\n    command: [sh, -c, 'kill -ABRT $$$$']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &["exit code 134: ended by SIGABRT"],
        ),
        broken(
            "out of memory",
            "services:\n  web:\n    image: redis:latest\n    mem_limit: 20m\n    memswap_limit: 20m\n    entrypoint: [sh, -c, 'x=a; while true; do x=$$x$$x$$x$$x; done']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &[
                "web/1 is not ready: out of memory: killed at its limit of 20 MiB (exit code 137)",
                "raise its memory limit",
                "stack.yaml:4:16",
            ],
        ),
        broken(
            "ended well, and too early",
            "services:\n  web:\n    image: redis:latest\n    command: ['true']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n  app:\n    image: redis:latest\n    command: [sleep, '60']\n    depends_on: { web: { condition: service_healthy } }\n",
            &["web/1 is not ready: ended, with exit code 0, before it was ready; app waits for it"],
        ),
        broken(
            "a job that fails",
            "services:\n  job:\n    image: redis:latest\n    command: [sh, -c, 'echo no such table >&2; exit 7']\n  app:\n    image: redis:latest\n    depends_on: { job: { condition: service_completed_successfully } }\n",
            &[
                "job/1 did not complete: ended with exit code 7; app waits for it",
                "stderr no such table",
                "stack.yaml:2:3",
            ],
        ),
        broken(
            "escape sequences in a log",
            "services:\n  job:\n    image: redis:latest\n    command: [sh, -c, 'printf \"\\033[2J\\033[31mred alert\\033[0m\\033]0;title\\007\\n\" >&2; exit 7']\n  app:\n    image: redis:latest\n    depends_on: { job: { condition: service_completed_successfully } }\n",
            &["stderr red alert"],
        ),
        broken(
            "a long log",
            "services:\n  job:\n    image: redis:latest\n    command: [sh, -c, 'for i in $$(seq 500); do echo line $$i; done; echo the end >&2; exit 7']\n  app:\n    image: redis:latest\n    depends_on: { job: { condition: service_completed_successfully } }\n",
            &["stderr the end", "line 500"],
        ),
    ]
}

/// Containers that are unhealthy, loop or take too long, and hooks that fail.
pub(super) fn waits() -> Vec<Broken> {
    vec![
        broken(
            "unhealthy",
            "services:\n  db:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sh, -c, 'echo cannot bind >&2; sleep 60']\n    healthcheck: { test: [CMD-SHELL, 'echo cannot connect to 5432; exit 3'], interval: 300ms, retries: 2 }\n  app:\n    image: redis:latest\n    depends_on: { db: { condition: service_healthy } }\n",
            &[
                "db/1 is not ready: unhealthy after 2 failed probes in",
                "app waits for it",
                "exit 3: cannot connect to 5432",
                "probes",
                "(UTC)",
                "stderr cannot bind",
                "state running",
                "waited for",
                "stackctl logs db · stackctl exec db sh",
                "stack.yaml:7:26",
            ],
        ),
        broken(
            "a probe whose program is not there",
            "services:\n  db:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sleep, '60']\n    healthcheck: { test: [CMD, nosuchprobe, '-q'], interval: 300ms, retries: 1 }\n",
            &[
                "db/1 is not ready: unhealthy after 1 failed probe",
                "nosuchprobe",
                "executable file not found",
                "stack.yaml:7:26",
            ],
        ),
        Broken {
            arguments: &["up", "--wait", "--wait-timeout", "3"],
            code: 7,
            ..broken(
                "too slow",
                "services:\n  slow:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sleep, '60']\n    healthcheck: { test: [CMD-SHELL, 'echo still loading; exit 1'], interval: 60s }\n",
                &[
                    "slow/1 is not ready: not ready within 3 s",
                    "exit 1: still loading",
                    "state running",
                    "stackctl exec slow sh",
                    "stack.yaml:7:26",
                ],
            )
        },
        broken(
            "a loop",
            "services:\n  web:\n    image: redis:latest\n    restart: always\n    command: [sh, -c, 'echo no config >&2; exit 9']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &[
                "web/1 is not ready: ends again and again: 5 restarts so far, last with exit code 9",
                "stderr no config",
                "it loops",
                "stackctl logs web",
            ],
        ),
        broken(
            "restarted until the engine gave up",
            "services:\n  web:\n    image: redis:latest\n    restart: 'on-failure:2'\n    command: [sh, -c, 'echo no config >&2; exit 9']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
            &["web/1 is not ready: ended with exit code 9", "restarted 2 times: it loops"],
        ),
        broken(
            "two at once, and one that waits for both",
            "services:\n  app:\n    image: redis:latest\n    depends_on: { one: { condition: service_completed_successfully }, two: { condition: service_completed_successfully } }\n  one:\n    image: redis:latest\n    command: [sh, -c, 'echo first cause >&2; exit 4']\n  two:\n    image: redis:latest\n    command: [sh, -c, 'echo second cause >&2; exit 5']\n",
            &[
                "one/1 did not complete: ended with exit code 4; app waits for it",
                "two/1 did not complete: ended with exit code 5; app waits for it",
                "first cause",
                "second cause",
                "app/1 was not brought up",
                "2 failed",
            ],
        ),
        broken(
            "a hook that fails",
            "services:\n  web:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sleep, '60']\n    post_start:\n      - command: [sh, -c, 'echo migration failed >&2; exit 8']\n",
            &[
                "web/1 is not ready: its post_start hook ended with exit code 8",
                "output migration failed",
                "command sh -c",
                "stack.yaml:8:7",
            ],
        ),
    ]
}

/// Containers that cannot be made or started.
pub(super) fn starts() -> Vec<Broken> {
    vec![
        broken(
            "a program that the image has not",
            "services:\n  web:\n    image: redis:latest\n    entrypoint: [nosuch]\n",
            &[
                "web/1 cannot be started: the image has no program nosuch",
                "engine",
                "executable file not found in $PATH",
                "correct the command or the entrypoint",
                "stack.yaml:4:17",
            ],
        ),
        broken(
            "a file that the image has not",
            "services:\n  web:\n    image: redis:latest\n    entrypoint: /no/such\n",
            &["web/1 cannot be started: the image has no file /no/such", "stack.yaml:4:17"],
        ),
        broken(
            "a file that may not be executed",
            "services:\n  web:\n    image: redis:latest\n    entrypoint: [/etc/passwd]\n",
            &["/etc/passwd may not be executed", "permission denied", "chmod +x", "stack.yaml:4:17"],
        ),
        Broken {
            files: &[("bad", "garbage", true)],
            ..broken(
                "a program for another machine",
                "services:\n  web:\n    image: redis:latest\n    entrypoint: [/bad]\n    volumes: ['./bad:/bad']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
                &["the program is not for this machine", "exec format error", "#!/bin/sh", "stack.yaml:4:17"],
            )
        },
        Broken {
            files: &[("script", "#!/no/interpreter\n", true)],
            ..broken(
                "a script without its interpreter",
                "services:\n  web:\n    image: redis:latest\n    entrypoint: [/script]\n    volumes: ['./script:/script']\n    healthcheck: { test: [CMD, 'false'], interval: 60s }\n",
                &["/script cannot be run: its interpreter", "see its #! line"],
            )
        },
        broken(
            "an unknown user",
            "services:\n  web:\n    image: redis:latest\n    user: nobodyx\n    command: [sleep, '60']\n",
            &["the image has no user nobodyx", "as 1000:1000", "stack.yaml:4:11"],
        ),
        broken(
            "an unknown group",
            "services:\n  web:\n    image: redis:latest\n    group_add: [nogroupx]\n    command: [sleep, '60']\n",
            &["the image has no group nogroupx", "stack.yaml:4:16"],
        ),
        Broken {
            files: &[("file", "text", false)],
            ..broken(
                "a file mounted on a folder",
                "services:\n  web:\n    image: redis:latest\n    volumes: ['./file:/etc']\n",
                &[
                    "cannot be mounted there: one of the two is a folder, the other a file",
                    "engine",
                    "stack.yaml:4:14",
                ],
            )
        },
        broken(
            "a working directory that is a file",
            "services:\n  web:\n    image: redis:latest\n    working_dir: /etc/passwd\n",
            &["the working directory /etc/passwd is a file", "stack.yaml:4:18"],
        ),
        broken(
            "a source that is missing",
            "services:\n  web:\n    image: redis:latest\n    volumes: [{ type: bind, source: ./missing, target: /x, bind: { create_host_path: false } }]\n",
            &["/missing on the engine's machine to mount", "create_host_path", "stack.yaml:4:14"],
        ),
        broken(
            "a device that is missing",
            "services:\n  web:\n    image: redis:latest\n    devices: [/dev/nonexist]\n",
            &["there is no device /dev/nonexist on the engine's machine", "stack.yaml:4:14"],
        ),
        broken(
            "no graphics processor",
            "services:\n  web:\n    image: redis:latest\n    gpus: all\n",
            &["the engine has no driver for the graphics processor", "stack.yaml:4:11"],
        ),
        broken(
            "an unknown runtime",
            "services:\n  web:\n    image: redis:latest\n    runtime: nope\n",
            &["the engine has no runtime nope", "docker info", "stack.yaml:4:14"],
        ),
        broken(
            "an unknown log driver",
            "services:\n  web:\n    image: redis:latest\n    logging: { driver: nope }\n",
            &["the engine has no log driver nope", "json-file", "stack.yaml:4:24"],
        ),
        broken(
            "a log that nobody takes",
            "services:\n  web:\n    image: redis:latest\n    logging: { driver: syslog, options: { syslog-address: 'tcp://127.0.0.1:1' } }\n",
            &["the log driver cannot be started", "connection refused", "stack.yaml:4:14"],
        ),
        broken(
            "an unknown option of a log",
            "services:\n  web:\n    image: redis:latest\n    logging: { driver: json-file, options: { nope: '1' } }\n",
            &["the log driver does not know the option nope", "stack.yaml:4:44"],
        ),
    ]
}

/// Limits that cannot be kept.
pub(super) fn limits() -> Vec<Broken> {
    vec![
        broken(
            "too many processors",
            "services:\n  web:\n    image: redis:latest\n    cpus: 2000\n",
            &["more processors are asked for than the engine has", "lower the limit", "stack.yaml:4:11"],
        ),
        broken(
            "processors that are not there",
            "services:\n  web:\n    image: redis:latest\n    cpuset: '777'\n",
            &["the processors that are asked for are not there: 777", "stack.yaml:4:13"],
        ),
        broken(
            "too little memory",
            "services:\n  web:\n    image: redis:latest\n    mem_limit: 1m\n",
            &[
                "the memory limit is too low: the engine allows 6MB at least",
                "raise the limit",
                "stack.yaml:4:16",
            ],
        ),
        broken(
            "more reserved than allowed",
            "services:\n  web:\n    image: redis:latest\n    mem_limit: 16m\n    mem_reservation: 32m\n",
            &["the memory limit is lower than the memory that is reserved", "stack.yaml:4:16"],
        ),
        broken(
            "an unknown capability",
            "services:\n  web:\n    image: redis:latest\n    cap_add: [NOPE]\n",
            &["there is no capability CAP_NOPE", "stack.yaml:4:14"],
        ),
        broken(
            "an unknown kernel parameter",
            "services:\n  web:\n    image: redis:latest\n    sysctls: { net.nope: '1' }\n",
            &["the engine's kernel has no parameter net/nope", "stack.yaml:4:14"],
        ),
    ]
}

/// Networks, volumes and images that cannot be made.
pub(super) fn ground() -> Vec<Broken> {
    vec![
        broken(
            "an address outside the subnet",
            "services:\n  web:\n    image: redis:latest\n    networks: { net: { ipv4_address: 10.98.0.3 } }\nnetworks:\n  net: { ipam: { config: [{ subnet: OWN.128/25 }] } }\n",
            &["the address 10.98.0.3 lies in none of the network's subnets", "stack.yaml:4:15"],
        ),
        broken(
            "an address without a subnet",
            "services:\n  web:\n    image: redis:latest\n    networks: { net: { ipv4_address: 10.98.0.3 } }\nnetworks:\n  net: {}\n",
            &["a fixed address needs a network with a subnet of its own", "ipam.config", "stack.yaml:4:15"],
        ),
        broken(
            "an unknown network driver",
            "services:\n  web:\n    image: redis:latest\n    networks: [net]\nnetworks:\n  net: { driver: nope }\n",
            &[
                "network:net cannot be created: the engine has no driver nope; web waits for it",
                "stack.yaml:6:18",
            ],
        ),
        broken(
            "an overlay without a swarm",
            "services:\n  web:\n    image: redis:latest\n    networks: [net]\nnetworks:\n  net: { driver: overlay }\n",
            &["a network of this kind needs a Swarm", "docker swarm init", "stack.yaml:6:18"],
        ),
        broken(
            "an interface that is not there",
            "services:\n  web:\n    image: redis:latest\n    networks: [net]\nnetworks:\n  net: { driver: macvlan, driver_opts: { parent: nope0 } }\n",
            &["the engine's machine has no network interface nope0", "ip link"],
        ),
        broken(
            "an unknown volume driver",
            "services:\n  web:\n    image: redis:latest\n    volumes: ['data:/data']\nvolumes:\n  data: { driver: nope }\n",
            &[
                "volume:data cannot be created: the engine has no volume driver nope; web waits for it",
                "stack.yaml:6:19",
            ],
        ),
        broken(
            "a volume that cannot be mounted",
            "services:\n  web:\n    image: redis:latest\n    volumes: ['data:/data']\nvolumes:\n  data: { driver_opts: { type: nosuchfs, device: ':/x', o: ro } }\n",
            &["web/1 cannot be created: the volume cannot be mounted", "driver_opts", "no such device"],
        ),
        Broken {
            code: 8,
            ..broken(
                "an external network that is missing",
                "services:\n  web:\n    image: redis:latest\n    networks: [net]\nnetworks:\n  net: { external: true, name: nobody-has-this-network }\n",
                &["nobody-has-this-network", "nothing was done", "stack.yaml:6"],
            )
        },
        broken(
            "a registry that does not answer",
            "services:\n  web:\n    image: localhost:1/nobody/has:this\n",
            &[
                "image:localhost:1/nobody/has:this cannot be pulled",
                "does not answer",
                "web waits for it",
                "see whether the engine reaches the registry",
                "stack.yaml:3:12",
            ],
        ),
        Broken {
            arguments: &["up", "--wait", "--pull", "never"],
            ..broken(
                "an image that may not be pulled",
                "services:\n  web:\n    image: localhost:1/nobody/has:this\n",
                &["there is no image localhost:1/nobody/has:this", "docker pull", "stack.yaml:3:12"],
            )
        },
        broken(
            "a build step that fails",
            "services:\n  web:\n    build:\n      context: .\n      dockerfile_inline: |\n        FROM redis:latest\n        RUN echo the cause of it >&2; exit 9\n",
            &["cannot be built", "the cause of it", "exit code: 9", "web waits for it", "stack.yaml:"],
        ),
    ]
}
