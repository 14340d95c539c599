//! Templates of `--format`, in the part of Go's template language that people use:
//! `{{.Name}}\t{{upper .State}}`, pipes, variables, `if`, `with` and `range`.

mod functions;
mod parse;
mod print;
mod run;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::template::parse::Node;

pub(crate) use print::printed;

/// A template that can be run.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

/// What a template is run on: named values, and labels that `{{.Label "name"}}` looks up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// The values by the names that templates use.
    pub(crate) fields: Map<String, Value>,
    /// The labels.
    pub(crate) labels: Labels,
}

/// What `{{.Label "name"}}` gives.
#[derive(Clone, Debug, Default)]
pub(crate) enum Labels {
    /// There are none, and no way to ask for one.
    #[default]
    None,
    /// The value of the label, nothing where there is none.
    Of(BTreeMap<String, String>),
    /// The end of its name, for the head of a table.
    Head,
}

impl Labels {
    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Of(labels) => Some(labels.get(name).cloned().unwrap_or_default()),
            Self::Head => {
                let last = name.rsplit('.').next().unwrap_or_default();
                Some(last.replace(['-', '_'], " "))
            }
        }
    }
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    /// The byte at which it is wrong, if it is known.
    at: Option<usize>,
    message: String,
}

impl TemplateError {
    fn at(at: usize, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into() }
    }

    fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}, at character {}", self.message, at + 1),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Reads a template. Only these fields may be asked for.
    ///
    /// # Errors
    /// When it is no template, or asks for what is not there.
    pub(crate) fn parse(text: &str, fields: &[&str]) -> Result<Self, TemplateError> {
        let nodes = parse::parse(text)?;
        parse::check_fields(&nodes, fields)?;
        Ok(Self { nodes })
    }

    /// Whether the template asks for this field of the row.
    pub(crate) fn asks_for(&self, field: &str) -> bool {
        parse::names(&self.nodes).iter().any(|(_, name)| name == field)
    }

    /// The text for one row.
    ///
    /// # Errors
    /// When a function is given what it cannot work on.
    pub(crate) fn run(&self, row: &Row) -> Result<String, TemplateError> {
        run::run(&self.nodes, row)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Row {
        let Value::Object(fields) = json!({
            "Name": "shop-web-1", "State": "running", "Health": "", "ExitCode": 3, "Up": true,
            "Publishers": [
                { "URL": "", "TargetPort": 6379, "PublishedPort": 0, "Protocol": "tcp" },
                { "URL": "::", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp" },
            ],
        }) else {
            panic!("an object")
        };
        let labels = Labels::Of(BTreeMap::from([("team".to_owned(), "shop".to_owned())]));
        Row { fields, labels }
    }

    const FIELDS: [&str; 6] = ["Name", "State", "Health", "ExitCode", "Up", "Publishers"];

    #[track_caller]
    fn run(text: &str) -> String {
        let template = Template::parse(text, &FIELDS).unwrap_or_else(|error| panic!("{text}: {error}"));
        template.run(&row()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn fields_pipes_and_functions() {
        for (text, wanted) in [
            ("{{.Name}} is {{.State}}", "shop-web-1 is running"),
            ("{{ upper .Name }}|{{.State | title}}|{{lower \"AbC\"}}", "SHOP-WEB-1|Running|abc"),
            ("{{.Name | upper | printf \"%s!\"}}", "SHOP-WEB-1!"),
            ("{{join (split .Name \"-\") \"/\"}}", "shop/web/1"),
            ("{{truncate .Name 3}}|{{truncate .Name 99}}", "sho|shop-web-1"),
            ("{{pad .State 1 2}}.", " running  ."),
            ("{{len .Name}} {{len .Publishers}}", "10 2"),
            ("{{slice .Name 1 3}}|{{slice .Name 5}}", "ho|web-1"),
            ("{{json .State}} {{json .ExitCode}}", "\"running\" 3"),
            ("{{json (index .Publishers 1).URL}}", "\"::\""),
            ("{{(index .Publishers 0).TargetPort}}", "6379"),
            ("{{index .Publishers 0}}", "{ 6379 0 tcp}"),
            ("{{.Publishers}}", "[{ 6379 0 tcp} {:: 80 8080 tcp}]"),
            ("{{println .State}}.", "running\n."),
            ("{{print .ExitCode 4 \"a\" \"b\"}}", "3 4ab"),
            ("{{.Label \"team\"}}|{{.Label \"none\"}}|{{\"team\" | .Label}}", "shop||shop"),
            ("{{`raw \\n`}}{{\"a\\tb\"}}", "raw \\na\tb"),
            ("{{/* nothing */}}{{- \" x \" -}}  y", " x y"),
            ("a  {{- .ExitCode -}}  b", "a3b"),
        ] {
            assert_eq!(run(text), wanted, "{text}");
        }
    }

    #[test]
    fn conditions_variables_and_loops() {
        for (text, wanted) in [
            ("{{if .Health}}h{{else if eq .State \"running\" \"paused\"}}up{{else}}-{{end}}", "up"),
            ("{{if not .Health}}none{{end}}", "none"),
            ("{{if and .Up (gt .ExitCode 2)}}both{{end}}", "both"),
            ("{{or .Health \"n/a\"}} {{and .Health .State}}.", "n/a ."),
            ("{{ne .ExitCode 3}} {{le 2 .ExitCode}} {{lt \"b\" \"a\"}} {{ge 3 3}}", "false true false true"),
            ("{{with .Health}}{{.}}{{else}}no health{{end}}", "no health"),
            ("{{range .Publishers}}{{.PublishedPort}},{{end}}", "0,8080,"),
            ("{{range $i, $p := .Publishers}}{{if $i}};{{end}}{{$p.TargetPort}}{{end}}", "6379;80"),
            (
                "{{range .Publishers}}{{if not .PublishedPort}}{{continue}}{{end}}{{.URL}}{{break}}{{end}}",
                "::",
            ),
            ("{{range split \"\" \",\"}}x{{else}}empty{{end}}", "x"),
            (
                "{{$n := .Name}}{{range .Publishers}}{{$n}} {{$.State}} {{end}}",
                "shop-web-1 running shop-web-1 running ",
            ),
            ("{{$n := 1}}{{if true}}{{$n = 2}}{{end}}{{$n}}", "2"),
        ] {
            assert_eq!(run(text), wanted, "{text}");
        }
    }

    #[test]
    fn printf_is_that_of_go() {
        for (text, wanted) in [
            (
                "{{printf \"%-12s|%5d|%05d|%v|%q|%t|%x|%%\" .Name .ExitCode 42 .Health .State .Up 255}}",
                "shop-web-1  |    3|00042||\"running\"|true|ff|%",
            ),
            ("{{printf \"%.2f %6.1f %.3s\" 1.005 2.25 .Name}}", "1.00    2.2 sho"),
            ("{{printf \"%d %s\" .Name}}", "%!d(string=shop-web-1) %!s(MISSING)"),
        ] {
            assert_eq!(run(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let fault = |text: &str| match Template::parse(text, &FIELDS) {
            Err(error) => error.to_string(),
            Ok(template) => template.run(&row()).expect_err(text).to_string(),
        };
        for (text, wanted) in [
            ("{{.Name", "a `{{` is not closed, at character 1"),
            ("a {{.Nmae}}", "there is no field Nmae; did you mean Name?, at character 5"),
            ("{{if .Name}}x", "`if` has no `end`, at character 3"),
            ("x{{end}}", "`end` ends nothing, at character 4"),
            ("{{uper .Name}}", "there is no function uper; did you mean upper?, at character 3"),
            ("{{template \"x\"}}", "`template` is not known here, at character 3"),
            ("{{\"abc}}", "a text is not closed, at character 3"),
            ("{{$x}}", "there is no variable $x, at character 3"),
            ("{{index .Publishers 7}}", "index: there is no 7 in a list of 2"),
            ("{{range .Name}}{{end}}", "range: \"shop-web-1\" is no list"),
        ] {
            assert_eq!(fault(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_head_of_a_label_is_the_end_of_its_name() {
        let template = Template::parse("{{.Label \"com.shop.team-name\"}}", &[]).expect("a template");
        let head = Row { fields: Map::new(), labels: Labels::Head };
        assert_eq!(template.run(&head).expect("a text"), "team name");
    }
}
