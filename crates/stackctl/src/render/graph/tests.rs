use std::collections::BTreeMap;
use std::path::PathBuf;

use stack_file::load::{Request, load};

use super::*;

const FILE: &str = r#"
name: shop
services:
  web: { image: 'nginx:1', ports: ['8080:80', '127.0.0.1:90:91/udp'], depends_on: { app: { condition: service_healthy } } }
  app:
    image: 'app:<2>'
    networks: [back]
    scale: 2
    depends_on: { db: { condition: service_started }, seed: { condition: service_completed_successfully, required: false } }
  db: { image: 'db:1', networks: [back] }
  seed: { image: 'seed:1', networks: [back] }
networks: { back: {} }
"#;

pub(super) fn desired(text: &str) -> Desired {
    let environment = BTreeMap::new();
    let loaded = load(&Request {
        files: vec![PathBuf::from("-")],
        directory: PathBuf::from("/"),
        project_directory: None,
        project_name: None,
        env_files: Vec::new(),
        profiles: Vec::new(),
        environment: &environment,
        stdin: Some(text),
    });
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    Desired::of(&loaded.stack, &BTreeMap::new())
}

fn container(service: &str, number: u32, state: ContainerState, health: Health) -> Listed {
    Listed {
        id: format!("{service}{number}"),
        name: format!("shop-{service}-{number}"),
        project: "shop".to_owned(),
        service: service.to_owned(),
        number,
        one_off: false,
        state,
        health,
        status: String::new(),
        image: String::new(),
        image_id: String::new(),
        command: String::new(),
        created: 0,
        labels: BTreeMap::new(),
        mounts: Vec::new(),
        networks: Vec::new(),
        ports: Vec::new(),
        size: None,
    }
}

fn containers() -> Vec<Listed> {
    vec![
        container("app", 1, ContainerState::Running, Health::Healthy),
        container("db", 1, ContainerState::Exited(137), Health::None),
        container("seed", 1, ContainerState::Exited(0), Health::None),
    ]
}

#[test]
fn mermaid_says_state_ports_and_networks_in_words_and_colour() {
    let text = mermaid(&Graph::of(&desired(FILE), Some(&containers())));
    assert_eq!(
        text,
        r##"flowchart TB
  s0["<b>db</b><br/>exited with 137<br/>db:1<br/>on back"]:::failed
  s1["<b>seed</b><br/>exited with 0<br/>seed:1<br/>on back"]:::ended
  s2["<b>app</b><br/>1 running, healthy of 2<br/>app:#lt;2#gt;<br/>on back"]:::partly
  s3["<b>web</b><br/>not created<br/>nginx:1<br/>8080 → 80<br/>127.0.0.1:90 → 91/udp<br/>on default"]:::absent
  s2 --> s0
  s2 -.->|completed| s1
  s3 -->|healthy| s2
  classDef absent fill:#ececf0,stroke:#8a8a96,color:#1b1b20
  classDef ended fill:#dbe8fa,stroke:#3b73b9,color:#1b1b20
  classDef partly fill:#fff0c9,stroke:#a87400,color:#1b1b20
  classDef failed fill:#fbdada,stroke:#b92b2b,color:#1b1b20
"##
    );
    let unasked = mermaid(&Graph::of(&desired(FILE), None));
    assert!(!unasked.contains(":::") && !unasked.contains("classDef"), "{unasked}");
}

#[test]
fn graphviz_gets_the_same() {
    let text = dot(&Graph::of(&desired(FILE), Some(&containers())));
    assert!(
        text.contains("  \"seed\" [label=\"seed\nexited with 0\nseed:1\non back\" fillcolor=\"#dbe8fa\""),
        "{text}"
    );
    assert!(text.contains("  \"app\" -> \"seed\" [label=\"completed\" style=dashed];"), "{text}");
    assert!(text.contains("  \"app\" -> \"db\";"), "{text}");
}

#[test]
fn a_picture_puts_what_is_needed_below_what_needs_it_and_nothing_on_each_other() {
    let desired = desired(FILE);
    let graph = Graph::of(&desired, Some(&containers()));
    let text = svg(&graph);
    for word in [
        "exited with 137",
        "app:&lt;2&gt;",
        "127.0.0.1:90 → 91/udp",
        "class=\"box failed\"",
        "app needs seed completed",
    ] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    assert_eq!(text.matches("<g>").count(), 4);
    let boxes: Vec<[f64; 4]> = (text.lines().filter(|line| line.starts_with("<g><rect")))
        .map(|line| {
            ["x", "y", "width", "height"].map(|name| {
                let value = line.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
                value.and_then(|value| value.parse().ok()).expect("a number")
            })
        })
        .collect();
    for (index, one) in boxes.iter().enumerate() {
        for other in &boxes[..index] {
            let apart = one[0] + one[2] <= other[0]
                || other[0] + other[2] <= one[0]
                || one[1] + one[3] <= other[1]
                || other[1] + other[3] <= one[1];
            assert!(apart, "{one:?} lies on {other:?}");
        }
    }
    for edge in &graph.edges {
        assert!(boxes[edge.from][1] + boxes[edge.from][3] < boxes[edge.to][1]);
    }
}

#[test]
fn replicas_are_counted_and_the_worst_gives_the_colour() {
    let of = |found: &[Listed], wanted| State::of(&found.iter().collect::<Vec<_>>(), wanted);
    let running = container("a", 1, ContainerState::Running, Health::None);
    let starting = container("a", 2, ContainerState::Running, Health::Starting);
    let ended = container("a", 3, ContainerState::Exited(0), Health::None);
    let all = of(&[running.clone(), running.clone()], 2);
    assert_eq!(all, State { words: "2 running".to_owned(), tone: Tone::Well });
    assert_eq!(of(&[running.clone(), starting], 2).tone, Tone::Partly);
    let one_ended = of(&[running.clone(), ended.clone()], 2);
    assert_eq!(one_ended, State { words: "1 running, 1 exited with 0".to_owned(), tone: Tone::Partly });
    assert_eq!(of(&[ended], 1), State { words: "exited with 0".to_owned(), tone: Tone::Ended });
    assert_eq!(of(&[], 0), State { words: "none wanted".to_owned(), tone: Tone::Absent });
    assert_eq!(of(&[running], 3).words, "1 running of 3");
}
