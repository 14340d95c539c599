use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let pairs: Vec<(String, String)> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::read(move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()))
}

#[test]
fn nothing_set_gives_the_defaults() {
    let config = read(&[("HOSTNAME", "app1"), ("REDIS_HOST", ""), ("ALLOWED_ORIGINS", " ")]).expect("valid");
    assert_eq!((config.port, config.server_id.as_str()), (3001, "app1"));
    assert!(config.redis.is_none());
    assert_eq!(config.log_level, tracing::Level::INFO);
    assert_eq!(config.origins, Origins::SameHost);
    assert_eq!((config.limits.frame_bytes, config.limits.doc_bytes, config.limits.rooms), (65536, 65536, 32));
    assert_eq!((config.limits.commands_per_second, config.limits.command_burst), (40, 80));
}

#[test]
fn every_setting_is_read_and_every_number_is_checked() {
    use std::cell::RefCell;
    let asked = RefCell::new(Vec::new());
    Config::read(|name| {
        asked.borrow_mut().push(name.to_owned());
        None
    })
    .expect("defaults");
    for (name, default, _) in SETTINGS {
        assert!(asked.borrow().iter().any(|found| found == name), "{name} is not read");
        if default.parse::<u64>().is_ok() {
            let error = read(&[(name, "-1")]).expect_err(name);
            assert!(error.to_string().starts_with(&format!("{name}=\"-1\": expected")), "{error}");
        }
    }
    for name in asked.borrow().iter().filter(|name| *name != "HOSTNAME") {
        assert!(SETTINGS.iter().any(|(found, ..)| found == name), "{name} is not in the table");
    }
}

#[test]
fn secrets_are_long_and_never_shown() {
    let error = read(&[("AUTH_SECRET", "too short"), ("API_KEY", "short")]).expect_err("refused");
    assert!(!error.to_string().contains("short"), "{error}");
    let config = read(&[("AUTH_SECRET", &"s3cret".repeat(6)), ("API_KEY", "0123456789abcdef")]);
    let shown = format!("{:?}", config.expect("valid"));
    assert!(!shown.contains("s3cret") && !shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn what_is_set_is_honoured() {
    let config = read(&[
        ("SERVER_PORT", "3002"),
        ("SERVER_ID", "app2"),
        ("REDIS_HOST", "redis"),
        ("REDIS_PORT", "6380"),
        ("LOG_LEVEL", "DEBUG"),
        ("ALLOWED_ORIGINS", "https://One.example/, http://two.example:8080"),
        ("COMMANDS_PER_SECOND", "5"),
    ])
    .expect("valid");
    assert_eq!((config.port, config.server_id.as_str()), (3002, "app2"));
    assert_eq!(config.redis.expect("set").to_string(), "redis:6380");
    assert_eq!(config.log_level, tracing::Level::DEBUG);
    let listed = vec!["https://one.example".to_owned(), "http://two.example:8080".to_owned()];
    assert_eq!(config.origins, Origins::Listed(listed));
    assert_eq!(config.limits.commands_per_second, 5);
}

#[test]
fn every_fault_is_told_at_once() {
    let error = read(&[
        ("SERVER_PORT", "99999"),
        ("SERVER_ID", "a b"),
        ("REDIS_PORT", "x"),
        ("REDIS_HOST", "redis:6379"),
        ("LOG_LEVEL", "loud"),
        ("ALLOWED_ORIGINS", "example.org"),
        ("MAX_ROOMS", "0"),
    ])
    .expect_err("seven faults");
    let expected = [
        "MAX_ROOMS=\"0\": expected a whole number from 1 to 1024",
        "SERVER_PORT=\"99999\": expected a whole number from 1 to 65535",
        "SERVER_ID=\"a b\": expected 1 to 64 of the characters A-Z a-z 0-9 _ . -",
        "REDIS_PORT=\"x\": expected a whole number from 1 to 65535",
        "REDIS_HOST=\"redis:6379\": expected a host name or address alone (the port is REDIS_PORT)",
        "LOG_LEVEL=\"loud\": expected error, warn, info, debug or trace",
        "ALLOWED_ORIGINS=\"example.org\": expected origins such as https://example.org, with commas between them, or *",
    ];
    assert_eq!(error.faults, expected);
}

#[test]
fn a_redis_url_never_shows_its_password() {
    for url in
        ["rediss://u:hunter2@h", "rediss-cluster://u:hunter2@h", "u:hunter2@h", "redis://u:hunter2@:x:y"]
    {
        let error = read(&[("REDIS_URL", url)]).expect_err("refused");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let config = read(&[("REDIS_URL", "redis://u:hunter2@cache:7000/2")]).expect("valid");
    let redis = config.redis.clone().expect("set");
    assert_eq!(redis.to_string(), "cache:7000");
    assert!(!format!("{config:?}").contains("hunter2"));
    let both = read(&[("REDIS_URL", "redis://h"), ("REDIS_HOST", "h")]).expect_err("contradiction");
    assert!(both.to_string().contains("REDIS_URL is set too"));
}
