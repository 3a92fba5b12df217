//! The text format of Prometheus (exposition format 0.0.4): families of samples with labels.

use std::fmt::{Display, Write as _};

/// What a family's values do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow, until the server starts anew.
    Counter,
    /// They go up and down.
    Gauge,
}

/// A page of metrics that is being written.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Writes a family of one sample. `name` and the labels' names are legal ones (`[a-z_]`); the values may hold
    /// anything.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str, labels: &[(&str, &str)], value: impl Display) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let labels = labels_text(labels);
        // Writing to a text does not fail.
        let _ = write!(
            self.0,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}\n"
        );
    }

    /// The page.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

fn labels_text(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    format!("{{{}}}", labels.join(","))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_help_type_and_sample() {
        let mut page = Page::default();
        page.metric("a_total", Kind::Counter, "All a.", &[], 7);
        page.metric("b", Kind::Gauge, "B.", &[("x", "1"), ("y", "")], 0.5);
        let expected = "# HELP a_total All a.\n# TYPE a_total counter\na_total 7\n\
                        # HELP b B.\n# TYPE b gauge\nb{x=\"1\",y=\"\"} 0.5\n";
        assert_eq!(String::from_utf8(page.into_bytes()).unwrap(), expected);
    }

    #[test]
    fn label_values_cannot_break_out() {
        let mut page = Page::default();
        page.metric("a", Kind::Gauge, "A.", &[("x", "\"} 1\nb 2\\")], 1);
        let text = String::from_utf8(page.into_bytes()).unwrap();
        assert_eq!(text.lines().last().unwrap(), r#"a{x="\"} 1\nb 2\\"} 1"#);
        assert_eq!(text.lines().count(), 3);
    }
}
