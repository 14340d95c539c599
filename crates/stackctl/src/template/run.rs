//! Runs the parts of a template on a row.

use serde_json::Value;

use crate::template::parse::{Node, Pipe, Root, Term};
use crate::template::print::printed;
use crate::template::{Labels, Row, TemplateError, functions};

type Result<T> = std::result::Result<T, TemplateError>;

pub(super) fn run(nodes: &[Node], row: &Row) -> Result<String> {
    let mut run = Run { row, variables: Vec::new(), text: String::new() };
    run.nodes(nodes, &Dot::Row)?;
    Ok(run.text)
}

/// What `.` is.
enum Dot {
    Row,
    Value(Value),
}

/// How a part ended.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    row: &'a Row,
    variables: Vec<(String, Value)>,
    text: String,
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Dot) -> Result<Flow> {
        let known = self.variables.len();
        let flow = self.each(nodes, dot);
        self.variables.truncate(known);
        flow
    }

    fn each(&mut self, nodes: &[Node], dot: &Dot) -> Result<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.text.push_str(text);
                    Flow::On
                }
                Node::Show(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.variables.is_empty() {
                        self.text.push_str(&printed(&value));
                    }
                    Flow::On
                }
                Node::If(branches, otherwise) => self.branches(branches, otherwise, dot)?,
                Node::With(pipe, body, otherwise) => {
                    let known = self.variables.len();
                    let value = self.pipe(pipe, dot)?;
                    let flow = match functions::holds(&value) {
                        true => self.nodes(body, &Dot::Value(value))?,
                        false => self.nodes(otherwise, dot)?,
                    };
                    self.variables.truncate(known);
                    flow
                }
                Node::Range(pipe, body, otherwise) => self.range(pipe, body, otherwise, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn branches(&mut self, branches: &[(Pipe, Vec<Node>)], otherwise: &[Node], dot: &Dot) -> Result<Flow> {
        let known = self.variables.len();
        for (pipe, body) in branches {
            let value = self.pipe(pipe, dot)?;
            if functions::holds(&value) {
                let flow = self.nodes(body, dot)?;
                self.variables.truncate(known);
                return Ok(flow);
            }
        }
        let flow = self.nodes(otherwise, dot)?;
        self.variables.truncate(known);
        Ok(flow)
    }

    fn range(&mut self, pipe: &Pipe, body: &[Node], otherwise: &[Node], dot: &Dot) -> Result<Flow> {
        let items: Vec<(Value, Value)> = match self.commands(pipe, dot)? {
            Value::Array(values) => {
                values.into_iter().enumerate().map(|(index, value)| (index.into(), value)).collect()
            }
            Value::Object(fields) => fields.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            Value::Null => Vec::new(),
            other => return Err(TemplateError::new(format!("range: {other} is no list"))),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, value) in items {
            let known = self.variables.len();
            match pipe.variables.as_slice() {
                [one] => self.variables.push((one.clone(), value.clone())),
                [one, two] => {
                    self.variables.push((one.clone(), key));
                    self.variables.push((two.clone(), value.clone()));
                }
                _ => {}
            }
            let flow = self.nodes(body, &Dot::Value(value))?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// What a pipe comes to; sets its variable.
    fn pipe(&mut self, pipe: &Pipe, dot: &Dot) -> Result<Value> {
        let value = self.commands(pipe, dot)?;
        if let Some(name) = pipe.variables.first() {
            if pipe.declares {
                self.variables.push((name.clone(), value.clone()));
            } else {
                match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = value.clone(),
                    None => return Err(TemplateError::new(format!("there is no variable {name}"))),
                }
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Dot) -> Result<Value> {
        let mut passed = None;
        for command in &pipe.commands {
            passed = Some(self.command(command, passed, dot)?);
        }
        Ok(passed.unwrap_or_default())
    }

    fn command(&mut self, command: &[Term], passed: Option<Value>, dot: &Dot) -> Result<Value> {
        let [first, others @ ..] = command else { return Ok(passed.unwrap_or_default()) };
        let mut values = Vec::with_capacity(others.len() + 1);
        for term in others {
            values.push(self.term(term, dot)?);
        }
        values.extend(passed);
        if let Root::Function(name) = &first.root {
            let head = matches!(self.row.labels, Labels::Head);
            return functions::call(name, &values, head)
                .map_err(TemplateError::new)
                .and_then(|value| fields(value, &first.fields, first.at));
        }
        if first.fields.last().is_some_and(|name| name == "Label") {
            let [Value::String(name)] = values.as_slice() else {
                return Err(TemplateError::at(first.at, "Label is given the name of a label"));
            };
            return match self.row.labels.get(name) {
                Some(label) => Ok(label.into()),
                None => Err(TemplateError::at(first.at, "there are no labels here")),
            };
        }
        if !values.is_empty() {
            return Err(TemplateError::at(first.at, "this is no function, and can be given nothing"));
        }
        self.term(first, dot)
    }

    fn term(&mut self, term: &Term, dot: &Dot) -> Result<Value> {
        let row = || Value::Object(self.row.fields.clone());
        let field = |names: &[String]| match names {
            [first, rest @ ..] => {
                let value = self.row.fields.get(first).cloned().unwrap_or_default();
                fields(value, rest, term.at)
            }
            [] => Ok(row()),
        };
        match &term.root {
            Root::Dot => match dot {
                Dot::Row => field(&term.fields),
                Dot::Value(value) => fields(value.clone(), &term.fields, term.at),
            },
            Root::Variable(name) if name == "$" => field(&term.fields),
            Root::Variable(name) => match self.variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => fields(value.clone(), &term.fields, term.at),
                None => Err(TemplateError::at(term.at, format!("there is no variable {name}"))),
            },
            Root::Literal(value) => Ok(value.clone()),
            Root::Nested(pipe) => {
                let value = self.commands(pipe, dot)?;
                fields(value, &term.fields, term.at)
            }
            Root::Function(_) => self.command(std::slice::from_ref(term), None, dot),
        }
    }
}

/// The fields of a value, one of the other.
fn fields(mut value: Value, names: &[String], at: usize) -> Result<Value> {
    for name in names {
        value = match value {
            Value::Object(mut fields) => match fields.remove(name) {
                Some(value) => value,
                None => return Err(TemplateError::at(at, format!("there is no field {name}"))),
            },
            other => {
                let message = format!("{} has no field {name}", printed(&other));
                return Err(TemplateError::at(at, message));
            }
        };
    }
    Ok(value)
}
