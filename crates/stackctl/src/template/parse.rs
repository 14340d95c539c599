//! From the text of a template to its parts.

use serde_json::Value;

use crate::closest::closest;
use crate::template::{TemplateError, functions};

type Result<T> = std::result::Result<T, TemplateError>;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    /// What a pipe gives.
    Show(Pipe),
    /// The first branch whose condition holds, or the last part.
    If(Vec<(Pipe, Vec<Node>)>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
    Break,
    Continue,
}

/// Commands, each of which is given what the one before it came to.
#[derive(Debug)]
pub(super) struct Pipe {
    /// The variables that are set to what it comes to: two in a `range`, key and value.
    pub(super) variables: Vec<String>,
    /// Whether the variables are new.
    pub(super) declares: bool,
    pub(super) commands: Vec<Vec<Term>>,
}

/// A value, or a function at the front of a command.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) at: usize,
    pub(super) root: Root,
    /// The fields that are taken of it, one of the other.
    pub(super) fields: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Root {
    Dot,
    Variable(String),
    Literal(Value),
    Nested(Pipe),
    Function(String),
}

/// A piece of the inside of `{{…}}`.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Variable(String),
    /// `.`, or `.Name`: a field of what stands directly before it, or of the dot.
    Field(String, bool),
    Literal(Value),
    /// `(`, `)`, `|`, `,`, `:=`, `=`
    Sign(&'static str),
}

/// Tokens, each with its place.
type Tokens = Vec<(usize, Token)>;

pub(super) fn parse(text: &str) -> Result<Vec<Node>> {
    let mut parser = Parser { parts: split(text)?, next: 0 };
    let (nodes, end) = parser.nodes(0)?;
    match end {
        None => Ok(nodes),
        Some((at, word)) => Err(TemplateError::at(at, format!("`{word}` ends nothing"))),
    }
}

enum Part {
    Text(String),
    Action(Tokens, usize),
}

/// Parts the texts from the actions, and cuts space at `{{-` and `-}}`.
fn split(text: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut at = 0;
    let mut trim = false;
    loop {
        let open = text[at..].find("{{").map(|found| at + found);
        let mut literal = &text[at..open.unwrap_or(text.len())];
        if trim {
            literal = literal.trim_start();
        }
        let Some(open) = open else {
            parts.push(Part::Text(literal.to_owned()));
            return Ok(parts);
        };
        let mut begin = open + 2;
        let inside = &text[begin..];
        if inside.starts_with("- ") {
            literal = literal.trim_end();
            begin += 2;
        }
        parts.push(Part::Text(literal.to_owned()));
        let unclosed = || TemplateError::at(open, "a `{{` is not closed");
        if text[begin..].trim_start().starts_with("/*") {
            let end = text[begin..].find("*/").map(|found| begin + found + 2).ok_or_else(unclosed)?;
            let rest = &text[end..];
            let close = if rest.starts_with(" -}}") { 4 } else { 2 };
            if close == 2 && !rest.starts_with("}}") {
                return Err(unclosed());
            }
            trim = close == 4;
            at = end + close;
            continue;
        }
        let (tokens, end, cut) = tokens(text, begin, open)?;
        parts.push(Part::Action(tokens, open + 2));
        trim = cut;
        at = end;
    }
}

/// The tokens up to `}}`, the byte after it, and whether it was `-}}`.
fn tokens(text: &str, begin: usize, open: usize) -> Result<(Tokens, usize, bool)> {
    let mut tokens = Vec::new();
    let mut at = begin;
    let mut spaced = true;
    loop {
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else {
            return Err(TemplateError::at(open, "a `{{` is not closed"));
        };
        if rest.starts_with("}}") {
            return Ok((tokens, at + 2, false));
        }
        if rest.starts_with("-}}") && spaced {
            return Ok((tokens, at + 3, true));
        }
        if first.is_whitespace() {
            spaced = true;
            at += first.len_utf8();
            continue;
        }
        let name = |from: usize| {
            let word = &text[from..];
            word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len())
        };
        let (token, length) = match first {
            '"' => quoted(rest).ok_or_else(|| TemplateError::at(at, "a text is not closed"))?,
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| TemplateError::at(at, "a text is not closed"))?;
                (Token::Literal(rest[1..=end].into()), end + 2)
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let length = name(at + 1);
                (Token::Field(rest[1..=length].to_owned(), spaced), length + 1)
            }
            '$' => {
                let length = name(at + 1);
                (Token::Variable(rest[..=length].to_owned()), length + 1)
            }
            '(' => (Token::Sign("("), 1),
            ')' => (Token::Sign(")"), 1),
            '|' => (Token::Sign("|"), 1),
            ',' => (Token::Sign(","), 1),
            ':' if rest.starts_with(":=") => (Token::Sign(":="), 2),
            '=' => (Token::Sign("="), 1),
            c if c.is_ascii_digit()
                || ((c == '-' || c == '+') && rest[1..].starts_with(|c: char| c.is_ascii_digit())) =>
            {
                let length = rest[1..]
                    .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
                    .map_or(rest.len(), |end| end + 1);
                let number = number(&rest[..length]);
                (Token::Literal(number.ok_or_else(|| TemplateError::at(at, "this is no number"))?), length)
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = name(at);
                (Token::Word(rest[..length].to_owned()), length)
            }
            other => return Err(TemplateError::at(at, format!("`{other}` is not known here"))),
        };
        tokens.push((at, token));
        spaced = matches!(first, '(' | '|' | ',' | '=' | ':');
        at += length;
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.replace('_', "");
    match digits.parse::<i64>() {
        Ok(number) => Some(number.into()),
        Err(_) => digits.parse::<f64>().ok().map(Value::from),
    }
}

/// A text in double quotes, and how long it is with them.
fn quoted(rest: &str) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Token::Literal(text.into()), at + 1)),
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                other => text.push(other),
            },
            c => text.push(c),
        }
    }
    None
}

struct Parser {
    parts: Vec<Part>,
    next: usize,
}

type End = Option<(usize, String)>;

impl Parser {
    /// Everything up to an `end` or `else` that belongs to what is around it.
    fn nodes(&mut self, depth: usize) -> Result<(Vec<Node>, End)> {
        // A template comes from the command line: deeper is no use, and the stack has an end.
        const DEEPEST: usize = 100;
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.get_mut(self.next) {
            let part = std::mem::replace(part, Part::Text(String::new()));
            self.next += 1;
            let (tokens, at) = match part {
                Part::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Part::Action(tokens, at) => (tokens, at),
            };
            let Some((at, Token::Word(word))) = tokens.first().cloned() else {
                nodes.push(Node::Show(whole(&tokens, at)?));
                continue;
            };
            if depth > DEEPEST {
                return Err(TemplateError::at(at, "this is nested too deeply"));
            }
            match word.as_str() {
                "if" => nodes.push(self.branches(&tokens[1..], at, depth)?),
                "with" | "range" => {
                    let pipe = whole(&tokens[1..], at)?;
                    let (body, end) = self.nodes(depth + 1)?;
                    let otherwise = match end {
                        Some((_, end)) if end == "end" => Vec::new(),
                        Some((_, end)) if end == "else" => self.up_to_end(&word, at, depth)?,
                        _ => return Err(TemplateError::at(at, format!("`{word}` has no `end`"))),
                    };
                    nodes.push(match word.as_str() {
                        "with" => Node::With(pipe, body, otherwise),
                        _ => Node::Range(pipe, body, otherwise),
                    });
                }
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                "end" => return Ok((nodes, Some((at, word)))),
                "else" => {
                    // `else if` goes on as a branch of the same `if`.
                    self.next -= 1;
                    self.parts[self.next] = Part::Action(tokens[1..].to_vec(), at);
                    if tokens.len() == 1 {
                        self.next += 1;
                        return Ok((nodes, Some((at, word))));
                    }
                    return Ok((nodes, Some((at, "else if".to_owned()))));
                }
                "template" | "define" | "block" => {
                    return Err(TemplateError::at(at, format!("`{word}` is not known here")));
                }
                _ => nodes.push(Node::Show(whole(&tokens, at)?)),
            }
        }
        Ok((nodes, None))
    }

    fn up_to_end(&mut self, word: &str, at: usize, depth: usize) -> Result<Vec<Node>> {
        match self.nodes(depth + 1)? {
            (nodes, Some((_, end))) if end == "end" => Ok(nodes),
            _ => Err(TemplateError::at(at, format!("`{word}` has no `end`"))),
        }
    }

    fn branches(&mut self, condition: &[(usize, Token)], at: usize, depth: usize) -> Result<Node> {
        let mut branches = Vec::new();
        let mut pipe = whole(condition, at)?;
        loop {
            let (body, end) = self.nodes(depth + 1)?;
            branches.push((pipe, body));
            match end {
                Some((_, end)) if end == "end" => return Ok(Node::If(branches, Vec::new())),
                Some((_, end)) if end == "else" => {
                    return Ok(Node::If(branches, self.up_to_end("if", at, depth)?));
                }
                Some((at, _)) => {
                    let part = std::mem::replace(&mut self.parts[self.next], Part::Text(String::new()));
                    self.next += 1;
                    match part {
                        Part::Action(tokens, _) if tokens[0].1 == Token::Word("if".to_owned()) => {
                            pipe = whole(&tokens[1..], at)?;
                        }
                        _ => return Err(TemplateError::at(at, "after `else` comes `if`, or nothing")),
                    }
                }
                None => return Err(TemplateError::at(at, "`if` has no `end`")),
            }
        }
    }
}

/// All of the tokens as one pipe.
fn whole(tokens: &[(usize, Token)], at: usize) -> Result<Pipe> {
    let mut rest = tokens;
    let pipe = pipe(&mut rest, at, 0)?;
    match rest.first() {
        None => Ok(pipe),
        Some((at, _)) => Err(TemplateError::at(*at, "a `)` opens nothing")),
    }
}

fn pipe(rest: &mut &[(usize, Token)], at: usize, depth: usize) -> Result<Pipe> {
    const DEEPEST: usize = 100;
    if depth > DEEPEST {
        return Err(TemplateError::at(at, "this is nested too deeply"));
    }
    let mut pipe = Pipe { variables: Vec::new(), declares: false, commands: Vec::new() };
    let names: Vec<_> = rest.iter().take(4).map(|(_, token)| token).collect();
    let taken = match names.as_slice() {
        [Token::Variable(one), Token::Sign(sign @ (":=" | "=")), ..] => {
            pipe.variables = vec![one.clone()];
            pipe.declares = *sign == ":=";
            2
        }
        [Token::Variable(one), Token::Sign(","), Token::Variable(two), Token::Sign(":="), ..] => {
            pipe.variables = vec![one.clone(), two.clone()];
            pipe.declares = true;
            4
        }
        _ => 0,
    };
    *rest = &rest[taken..];
    let mut command = Vec::new();
    while let Some((at, token)) = rest.first() {
        let at = *at;
        let root = match token {
            Token::Sign(")") => break,
            Token::Sign("|") => {
                if command.is_empty() {
                    return Err(TemplateError::at(at, "before a `|` something is missing"));
                }
                pipe.commands.push(std::mem::take(&mut command));
                *rest = &rest[1..];
                continue;
            }
            Token::Sign("(") => {
                *rest = &rest[1..];
                let nested = self::pipe(rest, at, depth + 1)?;
                if rest.first().map(|(_, token)| token) != Some(&Token::Sign(")")) {
                    return Err(TemplateError::at(at, "a `(` is not closed"));
                }
                Root::Nested(nested)
            }
            Token::Sign(sign) => return Err(TemplateError::at(at, format!("`{sign}` is not known here"))),
            Token::Field(name, _) if name.is_empty() => Root::Dot,
            Token::Field(name, _) => {
                *rest = &rest[1..];
                let fields = std::iter::once(name.clone()).chain(fields(rest)).collect();
                command.push(Term { at, root: Root::Dot, fields });
                continue;
            }
            Token::Variable(name) => Root::Variable(name.clone()),
            Token::Literal(value) => Root::Literal(value.clone()),
            Token::Word(word) => match word.as_str() {
                "true" => Root::Literal(true.into()),
                "false" => Root::Literal(false.into()),
                "nil" => Root::Literal(Value::Null),
                name => {
                    functions::check(name).map_err(|message| TemplateError::at(at, message))?;
                    Root::Function(name.to_owned())
                }
            },
        };
        *rest = &rest[1..];
        command.push(Term { at, root, fields: fields(rest) });
    }
    if command.is_empty() {
        return Err(TemplateError::at(at, "a value is missing"));
    }
    pipe.commands.push(command);
    Ok(pipe)
}

/// The fields that stand directly after a value.
fn fields(rest: &mut &[(usize, Token)]) -> Vec<String> {
    let mut fields = Vec::new();
    while let Some((_, Token::Field(name, false))) = rest.first() {
        fields.push(name.clone());
        *rest = &rest[1..];
    }
    fields
}

/// The fields that are taken of the row, each with its place.
pub(super) fn names(nodes: &[Node]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    visit(nodes, true, &mut found);
    found
}

fn visit(nodes: &[Node], on_row: bool, found: &mut Vec<(usize, String)>) {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Show(pipe) => visit_pipe(pipe, on_row, found),
            Node::If(branches, otherwise) => {
                for (pipe, body) in branches {
                    visit_pipe(pipe, on_row, found);
                    visit(body, on_row, found);
                }
                visit(otherwise, on_row, found);
            }
            Node::With(pipe, body, otherwise) | Node::Range(pipe, body, otherwise) => {
                visit_pipe(pipe, on_row, found);
                visit(body, false, found);
                visit(otherwise, on_row, found);
            }
        }
    }
}

fn visit_pipe(pipe: &Pipe, on_row: bool, found: &mut Vec<(usize, String)>) {
    for term in pipe.commands.iter().flatten() {
        match &term.root {
            Root::Nested(nested) => visit_pipe(nested, on_row, found),
            Root::Dot if !on_row => {}
            Root::Variable(name) if name != "$" => {}
            Root::Dot | Root::Variable(_) => {
                found.extend(term.fields.first().map(|field| (term.at, field.clone())));
            }
            Root::Literal(_) | Root::Function(_) => {}
        }
    }
}

/// Refuses fields that no row has.
pub(super) fn check_fields(nodes: &[Node], fields: &[&str]) -> Result<()> {
    for (at, name) in names(nodes) {
        if name == "Label" || fields.contains(&name.as_str()) {
            continue;
        }
        let next = match closest(&name, fields.iter().copied()) {
            Some(close) => format!("did you mean {close}?"),
            None => format!("there are {}", fields.join(", ")),
        };
        return Err(TemplateError::at(at, format!("there is no field {name}; {next}")));
    }
    Ok(())
}
