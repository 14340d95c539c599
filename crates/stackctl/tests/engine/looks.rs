//! The commands that look, against what docker compose 2.40 printed for the same stack. `P` stands for
//! the project's name in what was recorded.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use stack_plan::observed::{ContainerState, Health};

use crate::support::{Project, eventually, free_ports};

const PATIENCE: Duration = Duration::from_secs(30);

/// A stack of a healthy web server, a service of two, and a job that fails.
fn stack() -> (Project, [u16; 2]) {
    let ports = free_ports();
    let [web, udp] = ports;
    let project = Project::new(&format!(
        "services:
  web:
    image: nginx:latest
    ports: ['127.0.0.1:{web}:80', '127.0.0.1:{udp}:53/udp']
    volumes: [data:/data, ./:/host:ro]
    networks: [front, back]
    labels: {{ com.shop.team-name: shop }}
    stop_grace_period: 0s
    healthcheck: {{ test: [CMD, 'true'], interval: 1s }}
  s:
    image: redis:latest
    scale: 2
    init: true
    stop_grace_period: 0s
    entrypoint: [sleep, '600']
    command: []
    networks: [back]
  job:
    image: redis:latest
    entrypoint: [sh, -c, 'exit 3']
    command: []
    networks: [back]
  extra:
    image: redis:latest
    profiles: [extra]
volumes: {{ data: {{}} }}
networks: {{ front: {{}}, back: {{}} }}
"
    ));
    project.run(&["up", "-d"]).exits(0);
    eventually("the stack is as it was recorded", PATIENCE, || {
        let observed = project.observe();
        let find = |service: &str| observed.containers.iter().find(|found| found.service == service);
        let healthy = find("web").is_some_and(|web| web.health == Health::Healthy);
        let failed = find("job").is_some_and(|job| job.state == ContainerState::Exited(3));
        (healthy && failed).then_some(())
    });
    (project, ports)
}

/// What is printed, with the project's name as `P`.
#[track_caller]
fn shown(project: &Project, arguments: &[&str]) -> String {
    project.run(arguments).exits(0).out.replace(&project.name, "P")
}

#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn looks_must_print_what_docker_compose_prints() {
    let (project, [web, udp]) = stack();
    let shown = |arguments: &[&str]| shown(&project, arguments);

    // ps
    let table = shown(&["ps"]);
    let heads: Vec<&str> = table.lines().next().expect("a head").split_whitespace().collect();
    assert_eq!(heads, ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    let table =
        shown(&["ps", "-a", "--format", r"table {{.Service}}\t{{.State}}\t{{.ExitCode}}\t{{upper .Health}}"]);
    assert_eq!(
        table,
        "SERVICE   STATE     EXIT CODE   HEALTH\n\
         job       exited    3           \n\
         s         running   0           \n\
         s         running   0           \n\
         web       running   0           HEALTHY\n"
    );
    assert_eq!(shown(&["ps", "--services"]), "s\nweb\n");
    assert_eq!(shown(&["ps", "-a", "--services"]), "job\ns\nweb\n");
    assert_eq!(shown(&["ps", "--format", "{{.Name}}", "--status", "exited"]), "P-job-1\n");
    assert_eq!(shown(&["ps", "--format", "{{.Name}}", "--filter", "status=running", "web"]), "P-web-1\n");
    assert_eq!(shown(&["ps", "extra"]).lines().count(), 1);
    let label = shown(&["ps", "web", "--format", r#"table {{.Label "com.shop.team-name"}}"#]);
    assert_eq!(label, "team name\nshop\n");
    assert_eq!(
        shown(&["ps", "web", "--format", "{{.Ports}}|{{.Networks}}|{{.LocalVolumes}}|{{.Command}}"]),
        format!(
            "127.0.0.1:{udp}->53/udp, 127.0.0.1:{web}->80/tcp|P_back,P_front|1|\"nginx -g 'daemon of…\"\n"
        )
    );
    assert_eq!(
        shown(&["ps", "web", "--no-trunc", "--format", "{{.Command}}"]),
        "\"nginx -g 'daemon off;'\"\n"
    );
    let ids = project.run(&["ps", "-q"]).exits(0).out;
    assert!(ids.lines().all(|id| id.len() == 64) && ids.lines().count() == 3, "{ids}");
    let lines = project.run(&["ps", "-a", "--format", "json"]).exits(0).json();
    let recorded = [
        "Command",
        "CreatedAt",
        "ExitCode",
        "Health",
        "ID",
        "Image",
        "Labels",
        "LocalVolumes",
        "Mounts",
        "Name",
        "Names",
        "Networks",
        "Ports",
        "Project",
        "Publishers",
        "RunningFor",
        "Service",
        "Size",
        "State",
        "Status",
    ];
    for line in &lines {
        assert_eq!(keys(line), recorded);
    }
    let web_line = lines.iter().find(|line| line["Service"] == "web").expect("web");
    assert_eq!(
        web_line["Publishers"],
        json!([
            { "URL": "127.0.0.1", "TargetPort": 53, "PublishedPort": udp, "Protocol": "udp" },
            { "URL": "127.0.0.1", "TargetPort": 80, "PublishedPort": web, "Protocol": "tcp" },
        ])
    );
    assert_eq!((&web_line["Health"], &web_line["Size"]), (&json!("healthy"), &json!("0B")));

    // ls
    let file = project.directory.path().join("stack.yaml");
    let filter = format!("name=^{}$", project.name);
    let list = project.elsewhere(&["ls", "-a", "--format", "json", "--filter", &filter]).exits(0).json();
    let status = "exited(1), running(3)";
    assert_eq!(list, [json!([{ "Name": project.name, "Status": status, "ConfigFiles": file }])]);
    assert_eq!(
        project.elsewhere(&["ls", "-q", "--filter", &filter]).exits(0).out,
        format!("{}\n", project.name)
    );
    assert_eq!(
        project.elsewhere(&["ls", "--filter", "name=^no such$", "--format", "json"]).exits(0).out,
        "[]\n"
    );
    let table = project.elsewhere(&["ls", "--filter", &filter]).exits(0).out;
    assert!(table.starts_with("NAME                STATUS              CONFIG FILES\n"), "{table}");
    assert!(table.contains("running(3)"), "{table}");

    // images
    let images = project.run(&["images", "--format", "json"]).exits(0).json();
    let images = images[0].as_array().expect("one array").clone();
    let names: Vec<_> =
        images.iter().map(|image| image["ContainerName"].as_str().unwrap_or_default()).collect();
    assert_eq!(names.len(), 4);
    for image in &images {
        assert_eq!(
            keys(image),
            ["ID", "ContainerName", "Repository", "Tag", "Platform", "Size", "LastTagTime"]
        );
        assert!(image["Size"].as_u64().is_some_and(|size| size > 1_000_000), "{image}");
    }
    let table = shown(&["images", "web"]);
    let heads = "CONTAINER REPOSITORY TAG PLATFORM IMAGE ID SIZE CREATED";
    assert_eq!(
        table.lines().next().map(|head| head.split_whitespace().collect::<Vec<_>>().join(" ")).as_deref(),
        Some(heads)
    );
    assert!(table.contains("nginx               latest "), "{table}");
    let quiet = project.run(&["images", "-q"]).exits(0).out;
    assert!(quiet.lines().count() == 2 && quiet.lines().all(|id| id.len() == 64), "{quiet}");

    // volumes
    assert_eq!(shown(&["volumes"]), "DRIVER    VOLUME NAME\nlocal     P_data\n");
    assert_eq!(shown(&["volumes", "-q", "web"]), "P_data\n");
    assert_eq!(shown(&["volumes", "-q", "job"]), "");
    let volume = &project.run(&["volumes", "--format", "json"]).exits(0).json()[0];
    let recorded = [
        "Availability",
        "Driver",
        "Group",
        "Labels",
        "Links",
        "Mountpoint",
        "Name",
        "Scope",
        "Size",
        "Status",
    ];
    assert_eq!(keys(volume), recorded);
    assert_eq!((&volume["Scope"], &volume["Links"]), (&json!("local"), &json!("N/A")));

    // port
    assert_eq!(shown(&["port", "web", "80"]), format!("127.0.0.1:{web}\n"));
    assert_eq!(shown(&["port", "--protocol", "udp", "web", "53"]), format!("127.0.0.1:{udp}\n"));
    assert_eq!(shown(&["port", "web", "53/udp"]), format!("127.0.0.1:{udp}\n"));
    project.run(&["port", "web", "81"]).exits(1).says("publishes 53/udp, 80/tcp");
    project.run(&["port", "s", "6379"]).exits(1).says("is not published");
    project.run(&["port", "--index", "3", "s", "6379"]).exits(1).says("s has no running container 3");
    project.run(&["port", "job", "80"]).exits(1).says("job does not run");
    project.run(&["port", "web", "http"]).exits(64).says("http is no port");

    // top
    let table = shown(&["top", "s"]);
    assert!(table.starts_with("SERVICE  #   UID "), "{table}");
    let processes: BTreeSet<_> = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join("/"))
        .collect();
    assert_eq!(processes, BTreeSet::from(["s/1".to_owned(), "s/2".to_owned()]));
    assert!(table.contains("sleep 600"), "{table}");
    assert_eq!(shown(&["top", "job"]), "");

    // stats
    let samples = project.run(&["stats", "--no-stream", "--format", "json"]).exits(0).json();
    assert_eq!(samples.len(), 3);
    for sample in &samples {
        let recorded =
            ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"];
        assert_eq!(keys(sample), recorded);
        assert!(sample["CPUPerc"].as_str().is_some_and(|share| share.ends_with('%')), "{sample}");
        assert!(sample["MemUsage"].as_str().is_some_and(|usage| usage.contains("iB / ")), "{sample}");
    }
    assert_eq!(
        shown(&[
            "stats",
            "--no-stream",
            "-a",
            "job",
            "--format",
            "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}"
        ]),
        "P-job-1 0.00% 0B / 0B 0\n"
    );
    let mut live = project.spawn(&["stats", "s", "--format", "{{.Name}} {{.PIDs}}."]);
    live.read_until(&format!("{}-s-2 2.", project.name));
    live.read_until(&format!("{}-s-2 2.", project.name));
    live.signal("INT");
    live.wait().exits(0);
}

#[test]
fn events_must_be_told_as_docker_compose_tells_them() {
    let project = Project::new(
        "services:\n  job:\n    image: redis:latest\n    entrypoint: [sh, -c, 'exit 3']\n    command: []\n    labels: { team: shop }\n  other:\n    image: redis:latest\n    entrypoint: ['true']\n    command: []\n",
    );
    let mut live = project.spawn(&["events", "--json"]);
    let mut text = project.spawn(&["events", "job"]);
    // The engine tells from the past, too, so that nothing is missed by who listens a moment late.
    project.run(&["up", "-d"]).exits(0);
    let since = ["events", "--json", "--since", "10m", "--until", "0s", "job"];
    let past = eventually("the end of the job", PATIENCE, || {
        let past = project.run(&since).exits(0).json();
        past.iter().any(|event| event["action"] == "die").then_some(past)
    });
    let actions: Vec<_> = past.iter().map(|event| event["action"].as_str().unwrap_or_default()).collect();
    assert_eq!(actions, ["create", "start", "die"]);
    for event in &past {
        assert_eq!(keys(event), ["action", "attributes", "id", "service", "time", "type"]);
        assert_eq!((&event["service"], &event["type"]), (&json!("job"), &json!("container")));
        assert_eq!(event["attributes"]["team"], "shop");
        let own = |key: &&str| key.starts_with("com.docker.compose.") || *key == "stackctl.spec";
        assert_eq!(keys(&event["attributes"]).iter().filter(|key| own(key)).count(), 0, "{event}");
    }
    assert_eq!(past[2]["attributes"]["exitCode"], "3");

    project.run(&["down"]).exits(0);
    live.read_until("\"action\":\"destroy\"");
    let told = text.read_until(" container destroy ");
    assert!(!told.contains("other"), "{told}");
    for events in [live, text] {
        events.signal("INT");
        events.wait().exits(0);
    }
}

#[test]
fn a_project_must_be_found_by_its_name_alone() {
    let project = Project::new(
        "services:\n  web:\n    image: nginx:latest\n    ports: ['127.0.0.1::80']\n    volumes: [data:/data]\n    stop_grace_period: 0s\n  job:\n    image: redis:latest\n    entrypoint: [echo, hello]\n    command: []\nvolumes: { data: {} }\n",
    );
    project.run(&["up", "-d"]).exits(0);
    let run = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["-p", &project.name].iter().chain(arguments).copied().collect();
        project.elsewhere(&arguments)
    };
    run(&["ps"]).exits(0).shows("-web-1");
    run(&["port", "web", "80"]).exits(0).shows("127.0.0.1:");
    run(&["top"]).exits(0).shows("nginx: master");
    run(&["images"]).exits(0).shows("nginx");
    run(&["volumes"]).exits(0).shows("_data");
    run(&["stats", "--no-stream"]).exits(0).shows("-web-1");
    run(&["events", "--since", "10m", "--until", "0s"]).exits(0).shows(" container start ");
    eventually("the line", PATIENCE, || {
        run(&["logs", "job"]).exits(0).out.contains("job-1  | hello").then_some(())
    });
    for command in ["ps", "top", "images", "volumes", "logs", "events"] {
        run(&[command, "wbe"]).exits(64).says("there is no service wbe").says("did you mean web?");
    }
    // What is not there at all is an empty list, not a fault.
    let nothing = project.elsewhere(&["-p", "there-is-no-such-project", "ps"]).exits(0);
    assert_eq!(nothing.out.lines().count(), 1);
    project.elsewhere(&["ps"]).exits(3);
}

#[test]
fn what_cannot_be_shown_must_be_refused_with_the_next_step() {
    let project = Project::new("services:\n  web:\n    image: nginx:latest\n");
    project.run(&["ps", "wbe"]).exits(64).says("did you mean web?");
    project.run(&["ps", "--status", "runing"]).exits(64).says("there is no state runing");
    project.run(&["ps", "--filter", "name=web"]).exits(64).says("there is no filter name");
    project.run(&["ps", "--format", "yaml"]).exits(64).says("there is no form yaml");
    project.run(&["ps", "--format", "{{.Nmae}}"]).exits(64).says("did you mean Name?");
    project.run(&["stats", "--format", "{{.Name"]).exits(64).says("is not closed");
    project.run(&["ls", "--filter", "state=up"]).exits(64).says("there is no filter state");
    project.run(&["logs", "--grep", "["]).exits(64).says("--grep is no pattern");
    project.run(&["logs", "--index", "2"]).exits(64).says("--index needs one service");
    project.run(&["port", "web"]).exits(64);
}
