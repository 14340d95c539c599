//! `--format`: a table, a table of one's own, a template, or JSON.

use anyhow::anyhow;
use serde_json::{Map, Value};

use crate::error::{Fault, Kind};
use crate::render::table::{FORMATTED, fit, lay_out};
use crate::template::{Labels, Row, Template, TemplateError, printed};

/// What a list can show of each of its rows.
pub(crate) struct Columns {
    /// Every field that a template may ask for, and its head in a table.
    pub(crate) fields: &'static [(&'static str, &'static str)],
    /// The fields of the table that is shown when nothing else is asked for.
    pub(crate) usual: &'static [&'static str],
}

/// A form of output.
#[derive(Debug)]
pub(crate) enum Form {
    /// The usual table.
    Table,
    /// One JSON object per line.
    Json,
    /// A table of one's own: its heads come first.
    Own(Template),
    /// A text for each row.
    Text(Template),
}

impl Form {
    /// Reads `table`, `json`, `table TEMPLATE` or `TEMPLATE`.
    pub(crate) fn parse(text: &str, columns: &Columns) -> anyhow::Result<Self> {
        let names: Vec<&str> = columns.fields.iter().map(|(name, _)| *name).collect();
        let template = |text: &str| {
            let text = text.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n");
            Template::parse(&text, &names).map_err(|error| wrong(&error))
        };
        match text {
            "" | "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            _ => match text.strip_prefix("table ") {
                Some(own) => Ok(Self::Own(template(own)?)),
                None if !text.contains("{{") => {
                    Err(Fault::new(Kind::Usage, format!("there is no form {text} of the output"))
                        .hint("write table, json, or a template as '{{.Name}}'")
                        .into())
                }
                None => Ok(Self::Text(template(text)?)),
            },
        }
    }

    /// Whether a template asks for this field.
    pub(crate) fn asks_for(&self, field: &str) -> bool {
        match self {
            Self::Table | Self::Json => false,
            Self::Own(template) | Self::Text(template) => template.asks_for(field),
        }
    }

    /// The rows as text. The usual table is cut to `width` columns, if one is given.
    pub(crate) fn show(
        &self,
        rows: &[Row],
        columns: &Columns,
        width: Option<usize>,
    ) -> anyhow::Result<String> {
        let each = |template: &Template, text: &mut String| -> anyhow::Result<()> {
            for row in rows {
                text.push_str(&template.run(row).map_err(|error| wrong(&error))?);
                text.push('\n');
            }
            Ok(())
        };
        let mut text = String::new();
        match self {
            Self::Json => {
                for row in rows {
                    text.push_str(&serde_json::to_string(&row.fields).map_err(|error| anyhow!(error))?);
                    text.push('\n');
                }
                Ok(text)
            }
            Self::Text(template) => {
                each(template, &mut text)?;
                Ok(text)
            }
            Self::Own(template) => {
                let head = head(columns);
                text.push_str(&template.run(&head).map_err(|error| wrong(&error))?);
                text.push('\n');
                each(template, &mut text)?;
                Ok(lay_out(&text, FORMATTED))
            }
            Self::Table => Ok(table(rows, columns, width)),
        }
    }
}

fn wrong(error: &TemplateError) -> anyhow::Error {
    Fault::new(Kind::Usage, format!("--format: {error}")).into()
}

fn head(columns: &Columns) -> Row {
    let fields: Map<String, Value> =
        columns.fields.iter().map(|(name, head)| ((*name).to_owned(), Value::from(*head))).collect();
    Row { fields, labels: Labels::Head }
}

fn table(rows: &[Row], columns: &Columns, width: Option<usize>) -> String {
    let head = head(columns);
    let cells = |row: &Row| -> Vec<String> {
        columns.usual.iter().map(|name| row.fields.get(*name).map(printed).unwrap_or_default()).collect()
    };
    let mut lines: Vec<Vec<String>> = std::iter::once(&head).chain(rows).map(cells).collect();
    if let Some(width) = width {
        fit(&mut lines, width, FORMATTED);
    }
    let text: String = lines.iter().map(|line| format!("{}\n", line.join("\t"))).collect();
    lay_out(&text, FORMATTED)
}

/// A row with these fields, in the order of their names, as docker's JSON has them.
pub(crate) fn row<const N: usize>(mut fields: [(&str, Value); N], labels: Labels) -> Row {
    fields.sort_by_key(|(name, _)| *name);
    Row { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), labels }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns {
        fields: &[("Name", "NAME"), ("State", "STATE"), ("ID", "CONTAINER ID")],
        usual: &["Name", "State"],
    };

    fn show(form: &str) -> String {
        let rows = [
            row([("Name", "web-1".into()), ("State", "running".into()), ("ID", "0a".into())], Labels::None),
            row(
                [("Name", "database-1".into()), ("State", "exited".into()), ("ID", "0b".into())],
                Labels::None,
            ),
        ];
        let form = Form::parse(form, &COLUMNS).unwrap_or_else(|error| panic!("{error}"));
        form.show(&rows, &COLUMNS, None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_form_looks_as_docker_shows_it() {
        assert_eq!(show("table"), "NAME         STATE\nweb-1        running\ndatabase-1   exited\n");
        assert_eq!(
            show(r"table {{.ID}}\t{{upper .Name}}"),
            "CONTAINER ID   NAME\n0a             WEB-1\n0b             DATABASE-1\n"
        );
        assert_eq!(show(r"{{.Name}}\t{{.State}}"), "web-1\trunning\ndatabase-1\texited\n");
        assert_eq!(show("json").lines().next(), Some(r#"{"ID":"0a","Name":"web-1","State":"running"}"#));
        assert_eq!(show("{{json .}}"), show("json"));
    }

    #[test]
    fn a_wrong_form_is_refused_before_anything_is_looked_at() {
        let fault = |form: &str| Form::parse(form, &COLUMNS).map(|_| ()).expect_err(form).to_string();
        assert_eq!(fault("yaml"), "there is no form yaml of the output");
        assert_eq!(fault("{{.Nam}}"), "--format: there is no field Nam; did you mean Name?, at character 3");
    }
}
