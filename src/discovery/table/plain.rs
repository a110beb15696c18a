//! Tables as programs write them and most people do: an endpoint a line, or a key a line, without groups or anchors. Such a text is read in
//! one pass; the tree of a table of ten thousand endpoints is eight megabytes that are made to be dropped, and takes twenty times as long.
//! Leans towards giving up: whatever is not exactly of this form, or is wrong, is for the reader of YAML, which finds the same in what is
//! taken here.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::canonical;
use crate::model::{Address, EndpointSpec, MAX_WEIGHT, Table};
use crate::runtime::give_way;

/// More endpoints than this are for the other reader, which knows how many values a file may have.
const MOST: usize = 100_000;
/// As many digits as the largest weight has.
const WEIGHT_DIGITS: usize = 7;

/// The table in `text`; `None` when it is not of this form, whatever else it may be.
pub(super) fn read(text: &str) -> Option<Table> {
    let mut items = Items::default();
    let mut begun = false;
    for whole in text.split('\n') {
        give_way();
        let line = Line::of(whole)?;
        match line {
            Line { text: "", .. } => {}
            Line { indent: 0, dash: None, text: "endpoints:" } if !begun => begun = true,
            line if begun => items.take(line)?,
            _ => return None,
        }
    }
    items.end().map(Table::flat)
}

/// A line without its comment.
struct Line<'t> {
    /// The column of its text.
    indent: usize,
    /// That of the dash before it, if it begins an item.
    dash: Option<usize>,
    text: &'t str,
}

impl Line<'_> {
    /// `None` when there is more in it than visible ASCII and spaces.
    fn of(whole: &str) -> Option<Line<'_>> {
        if !whole.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return None;
        }
        let begin = whole.trim_start_matches(' ');
        if begin.starts_with('#') {
            return Some(Line { indent: 0, dash: None, text: "" });
        }
        // Within quotes it would be no comment, but what is taken has no space there.
        let text = begin.split(" #").next()?.trim_end_matches(' ');
        let column = whole.len() - begin.len();
        Some(match text.strip_prefix("- ").map(|rest| rest.trim_start_matches(' ')) {
            Some(rest) => Line { indent: column + (text.len() - rest.len()), dash: Some(column), text: rest },
            None => Line { indent: column, dash: None, text },
        })
    }
}

/// An endpoint, as far as it has been read.
#[derive(Default)]
struct Item {
    /// Of its keys, when they stand in lines of their own.
    column: usize,
    address: Option<Address>,
    weight: Option<u32>,
}

impl Item {
    /// One key and its value.
    fn pair(&mut self, text: &str) -> Option<()> {
        let (key, value) = text.split_once(':')?;
        let value = value.strip_prefix(' ')?.trim_matches(' ');
        match key {
            "address" if self.address.is_none() => self.address = Some(address(value)?),
            "weight" if self.weight.is_none() => self.weight = Some(weight(value)?),
            _ => return None,
        }
        Some(())
    }
}

fn address(value: &str) -> Option<Address> {
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let (text, brackets) = match quoted('"').or_else(|| quoted('\'')) {
        Some(text) => (text, true),
        // A bracket would begin a list.
        None => (value, false),
    };
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b':');
    let quoted = |byte: u8| plain(byte) || byte.is_ascii_hexdigit() || matches!(byte, b'[' | b']');
    if !text.bytes().all(|byte| if brackets { quoted(byte) } else { plain(byte) }) {
        return None;
    }
    text.parse().ok().filter(|address| matches!(address, Address::Tcp(tcp) if tcp.port() != 0))
}

fn weight(value: &str) -> Option<u32> {
    let is_number = value.len() <= WEIGHT_DIGITS && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|weight| is_number && *weight <= MAX_WEIGHT)
}

#[derive(Default)]
struct Items {
    /// Of the dashes: all stand below the first.
    dashes: Option<usize>,
    /// The item that may have more lines.
    open: Option<Item>,
    done: Vec<EndpointSpec>,
    places: HashSet<Address, RandomState>,
}

impl Items {
    fn take(&mut self, line: Line<'_>) -> Option<()> {
        let Some(dash) = line.dash else {
            return self.open.as_mut().filter(|open| open.column == line.indent)?.pair(line.text);
        };
        self.close()?;
        if *self.dashes.get_or_insert(dash) != dash {
            return None;
        }
        let mut item = Item { column: line.indent, ..Item::default() };
        match line.text.strip_prefix('{') {
            Some(inner) => {
                for pair in inner.strip_suffix('}')?.split(',') {
                    item.pair(pair.trim_matches(' '))?;
                }
                self.finish(item)
            }
            None => {
                item.pair(line.text)?;
                self.open = Some(item);
                Some(())
            }
        }
    }

    fn close(&mut self) -> Option<()> {
        match self.open.take() {
            Some(item) => self.finish(item),
            None => Some(()),
        }
    }

    fn finish(&mut self, item: Item) -> Option<()> {
        let address = item.address?;
        if self.done.len() >= MOST || !self.places.insert(canonical(&address)) {
            return None;
        }
        self.done.push(EndpointSpec { address, weight: item.weight.unwrap_or(1) });
        Some(())
    }

    fn end(mut self) -> Option<Vec<EndpointSpec>> {
        self.close()?;
        (!self.done.is_empty()).then_some(self.done)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::{by_tree, parse};
    use super::*;

    /// A table of so many endpoints, as programs write it.
    fn written(endpoints: usize, line: impl Fn(usize) -> String) -> String {
        format!("endpoints:\n{}", (0..endpoints).map(line).collect::<String>())
    }

    #[test]
    fn what_programs_write_is_read_in_one_pass() {
        let address = |index: usize| format!("10.{}.{}.1:80", index / 250, index % 250);
        for text in [
            written(300, |index| format!("  - {{ address: {}, weight: {index} }}\n", address(index))),
            written(300, |index| format!("- address: {}\n  weight: {index}\n", address(index))),
            written(300, |index| format!("- weight: {index}\n  address: \"{}\"\n", address(index))),
            written(300, |index| format!("    -   {{address: '{}', weight: {index}}} # it\n\n", address(index))),
            format!("# of us\n\n{}", written(1, |_| "  # one\n  - {  address:  \"[::1]:7\"  }".into())),
        ] {
            let read = read(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(by_tree("t", Path::new(""), &text), Ok(read.clone()), "{text}");
            assert_eq!(parse("t", Path::new(""), &text), Ok(read));
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_left_alone() {
        for text in [
            "",
            "endpoints:\n",
            "endpoints: []\n",
            "groups:\n  - { address: 1.2.3.4:5 }\n",
            "endpoints:\n  - { address: 1.2.3.4:5 }\n  - { address: 1.2.3.4:5 }\n",
            "endpoints:\n  - { address: 1.2.3.4:5 }\n  - { address: \"[::ffff:1.2.3.4]:5\" }\n",
            "endpoints:\n  - { address: 1.2.3.4:5, weight: 1000001 }\n",
            "endpoints:\n  - { address: 1.2.3.4:5, weight: 1, weight: 1 }\n",
            "endpoints:\n  - { address: 1.2.3.4:5, wieght: 1 }\n",
            "endpoints:\n  - { address: 1.2.3.4:0 }\n",
            "endpoints:\n  - { address: 1.2.3.4 }\n",
            "endpoints:\n  - { address: unix:a }\n",
            "endpoints:\n  - { address: [::1]:5 }\n",
            "endpoints:\n  - { address:1.2.3.4:5 }\n",
            "endpoints:\n  - { address: 1.2.3.4:5, }\n",
            "endpoints:\n  - { address: 1.2.3.4:5\n",
            "endpoints:\n  - { address: 1.2.3.4:5 }\n - { address: 1.2.3.4:6 }\n",
            "endpoints:\n  - address: 1.2.3.4:5\n   weight: 1\n",
            "endpoints:\n  - { address: 1.2.3.4:5 }\n    weight: 1\n",
            "endpoints:\n  - { address: 1.2.3.4:5 }\nendpoints:\n",
            "endpoints:\n  - { weight: 1 }\n",
            "endpoints:\n  - &a { address: 1.2.3.4:5 }\n",
            "endpoints:\n\t- { address: 1.2.3.4:5 }\n",
            "endpoints:\r\n  - { address: 1.2.3.4:5 }\r\n",
            "---\nendpoints:\n  - { address: 1.2.3.4:5 }\n",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    /// Something like a line of a table.
    fn piece() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            "[1-3]\\.2\\.3\\.4:[0-3]",
            "[\"']\\[::[1-3]\\]:[1-3][\"']",
            "0?[0-9]{1,3}",
            "[+.x\"' :#-]{0,3}"
        ];
        let odd = (prop_oneof!["address", "weight", "wat"], prop_oneof![": ", ":  ", ":"], value)
            .prop_map(|(key, colon, value)| format!("{key}{colon}{value}"));
        let pair = prop_oneof![4 => r"address: [1-9]\.2\.3\.4:[1-9]", 2 => "weight: [0-9]{1,2}", 2 => odd];
        let tail = prop_oneof![5 => Just(""), 1 => Just(" # c"), 1 => Just("#c"), 1 => Just(" ")];
        prop_oneof![
            4 => (" {0,2}", "(- )? {0,2}", pair.clone(), tail.clone()).prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}\n")),
            4 => (" {0,1}", "\\{ ?", prop::collection::vec(pair, 0..3), " ?\\}?", tail)
                .prop_map(|(a, b, pairs, c, d)| format!("{a}- {b}{}{c}{d}\n", pairs.join(", "))),
            1 => prop_oneof![" {0,2}#[a-z ]{0,3}\n", " {0,2}\n", "---\n", "endpoints:\n", "[a-z\\[{&*!|>%@`-]{1,2} ?\n"],
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_read_is_what_yaml_says(
            before in prop_oneof![5 => Just("endpoints:\n"), 1 => Just("endpoints: # x\n"), 1 => Just(" endpoints:\n")],
            lines in prop::collection::vec(piece(), 0..5),
        ) {
            let text = format!("{before}{}", lines.concat());
            if let Some(table) = read(&text) {
                prop_assert_eq!(by_tree("t", Path::new(""), &text), Ok(table), "{}", text);
            }
        }
    }
}
