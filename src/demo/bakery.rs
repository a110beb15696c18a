//! What the demo servlet does: a bakery that needs no memory, so that any replica can answer for an order that another has taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::message::{Malformed, Writer, fields, number, text};
use crate::model::Code;

/// The service as a file: written beside the demo's configuration, and compiled from there as any schema is.
pub const PROTO: &str = include_str!("bakery.proto");

/// Between two steps of an order: long enough to see them arrive one by one.
const STEP: Duration = Duration::from_millis(400);

const STEPS: [&str; 5] = ["weighing the flour", "kneading", "letting it rise", "baking", "ready: mind, it is hot"];

/// Name, title, grain (as its number in `Grain`), grams, cents.
const SHELF: [(&str, &str, i64, i64, i64); 4] = [
    ("loaves/baguette", "Baguette", 1, 250, 180),
    ("loaves/rye", "Dark rye, from sourdough", 2, 1000, 520),
    ("loaves/vollkorn", "Rye with whole grains", 2, 750, 460),
    ("loaves/spelt", "Spelt with walnuts", 3, 500, 490),
];

/// One replica.
#[derive(Debug)]
pub struct Bakery {
    name: String,
    work: Duration,
    calls: AtomicU64,
}

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    One(Vec<u8>),
    /// A stream, with a pause between its messages.
    Many(Vec<Vec<u8>>, Duration),
    Error(Code, String),
}

impl Bakery {
    /// A replica called `name`, whose every call takes `work`.
    pub fn new(name: impl Into<String>, work: Duration) -> Bakery {
        Bakery { name: name.into(), work, calls: AtomicU64::new(0) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn work(&self) -> Duration {
        self.work
    }

    /// Calls that it has taken.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Answers a call of `path` (`/demo.v1.Bakery/Method`) with `message`.
    pub(super) fn answer(&self, path: &str, message: &[u8]) -> Answer {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(method) = path.strip_prefix("/demo.v1.Bakery/") else {
            return Answer::Error(Code::Unimplemented, format!("no service has the path {path}"));
        };
        let answered = match method {
            "Who" => fields(message).map(|_| Answer::One(self.baker(calls))),
            "GetLoaf" => get_loaf(message),
            "ListLoaves" => self.list(message),
            "PlaceOrder" => self.order(message, calls),
            "WatchOrder" => self.watch(message),
            "Fail" => fail(message),
            _ => Ok(Answer::Error(Code::Unimplemented, format!("the bakery has no method {method}"))),
        };
        answered.unwrap_or_else(|Malformed| Answer::Error(Code::InvalidArgument, "that is no message".into()))
    }

    fn baker(&self, calls: u64) -> Vec<u8> {
        Writer::default().text(1, &self.name).number(2, calls.cast_signed()).into_bytes()
    }

    fn list(&self, message: &[u8]) -> Result<Answer, Malformed> {
        let fields = fields(message)?;
        let (grain, limit) = (i64::from(number(&fields, 1)), number(&fields, 2));
        let Ok(limit) = usize::try_from(limit) else {
            return Ok(Answer::Error(Code::InvalidArgument, format!("limit is {limit}: it must not be negative")));
        };
        let wanted = SHELF.iter().filter(|loaf| grain == 0 || loaf.2 == grain);
        let wanted = wanted.take(if limit == 0 { SHELF.len() } else { limit });
        let list = wanted.fold(Writer::default(), |list, loaf| list.message(1, &describe(loaf)));
        Ok(Answer::One(list.text(2, &self.name).into_bytes()))
    }

    fn order(&self, message: &[u8], calls: u64) -> Result<Answer, Malformed> {
        let fields = fields(message)?;
        let (name, quantity) = (text(&fields, 1)?, i64::from(number(&fields, 2)));
        if !(1..=1000).contains(&quantity) {
            let told = format!("quantity is {quantity}: the oven takes 1 to 1000");
            return Ok(Answer::Error(Code::InvalidArgument, told));
        }
        let Some(loaf) = find(&name) else { return Ok(no_such_loaf(&name)) };
        let id = format!("{}-{quantity}-{}{calls}", loaf.0.trim_start_matches("loaves/"), self.name);
        let ready = STEP * (STEPS.len() as u32 - 1);
        let ready =
            Writer::default().number(1, ready.as_secs().cast_signed()).number(2, i64::from(ready.subsec_nanos()));
        let order = Writer::default()
            .text(1, &id)
            .message(2, &describe(loaf))
            .number(3, quantity)
            .number(4, quantity * loaf.4)
            .message(5, &ready)
            .text(6, &self.name);
        Ok(Answer::One(order.into_bytes()))
    }

    fn watch(&self, message: &[u8]) -> Result<Answer, Malformed> {
        let id = text(&fields(message)?, 1)?;
        let loaf = id.split('-').next().unwrap_or_default();
        if find(&format!("loaves/{loaf}")).is_none() {
            return Ok(Answer::Error(Code::NotFound, format!("nobody has ordered `{id}`")));
        }
        let step = |what: &&str| Writer::default().text(1, what).text(2, &self.name).into_bytes();
        Ok(Answer::Many(STEPS.iter().map(step).collect(), STEP))
    }
}

fn get_loaf(message: &[u8]) -> Result<Answer, Malformed> {
    let name = text(&fields(message)?, 1)?;
    Ok(match find(&name) {
        Some(loaf) => Answer::One(describe(loaf).into_bytes()),
        None => no_such_loaf(&name),
    })
}

fn fail(message: &[u8]) -> Result<Answer, Malformed> {
    let fields = fields(message)?;
    let (code, told) = (number(&fields, 1), text(&fields, 2)?);
    Ok(match u32::try_from(code).ok().and_then(Code::from_number) {
        Some(code) if code != Code::Ok => {
            Answer::Error(code, if told.is_empty() { "as you wished".into() } else { told })
        }
        Some(_) | None => Answer::Error(Code::InvalidArgument, format!("code is {code}: errors are 1 to 16")),
    })
}

type Shelved = (&'static str, &'static str, i64, i64, i64);

fn find(name: &str) -> Option<&'static Shelved> {
    SHELF.iter().find(|loaf| loaf.0 == name)
}

fn describe((name, title, grain, grams, cents): &Shelved) -> Writer {
    Writer::default().text(1, name).text(2, title).number(3, *grain).number(4, *grams).number(5, *cents)
}

fn no_such_loaf(name: &str) -> Answer {
    let shelf: Vec<&str> = SHELF.iter().map(|loaf| loaf.0).collect();
    Answer::Error(Code::NotFound, format!("there is no `{name}`; on the shelf: {}", shelf.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, message: Writer) -> Answer {
        Bakery::new("ada", Duration::ZERO).answer(&format!("/demo.v1.Bakery/{method}"), &message.into_bytes())
    }

    fn code(answer: &Answer) -> Code {
        match answer {
            Answer::Error(code, _) => *code,
            Answer::One(_) | Answer::Many(..) => Code::Ok,
        }
    }

    #[test]
    fn every_method_of_the_proto_is_answered() {
        let methods: Vec<&str> =
            PROTO.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next()).collect();
        assert_eq!(methods.len(), 6);
        for method in methods {
            assert_ne!(code(&ask(method, Writer::default())), Code::Unimplemented, "{method}");
        }
        assert_eq!(code(&ask("Bake", Writer::default())), Code::Unimplemented);
        assert_eq!(code(&Bakery::new("ada", Duration::ZERO).answer("/other.Service/Who", &[])), Code::Unimplemented);
    }

    #[test]
    fn calls_are_counted_and_told() {
        let bakery = Bakery::new("ada", Duration::ZERO);
        for calls in 1..4 {
            let expected = Writer::default().text(1, "ada").number(2, calls).into_bytes();
            assert_eq!(bakery.answer("/demo.v1.Bakery/Who", &[]), Answer::One(expected));
        }
        assert_eq!(bakery.calls(), 3);
    }

    #[test]
    fn an_order_taken_by_one_is_known_to_all() {
        let Answer::One(order) = ask("PlaceOrder", Writer::default().text(1, "loaves/rye").number(2, 3)) else {
            panic!("no order")
        };
        let order = fields(&order).unwrap();
        assert_eq!((number(&order, 3), number(&order, 4)), (3, 1560));
        let id = text(&order, 1).unwrap();
        let other = Bakery::new("bea", Duration::ZERO);
        let steps = other.answer("/demo.v1.Bakery/WatchOrder", &Writer::default().text(1, &id).into_bytes());
        assert!(matches!(steps, Answer::Many(steps, _) if steps.len() == STEPS.len()));
    }

    #[test]
    fn a_list_is_filtered_and_bounded() {
        let count = |message: Writer| match ask("ListLoaves", message) {
            Answer::One(list) => fields(&list).unwrap().iter().filter(|(field, _)| *field == 1).count(),
            Answer::Many(..) | Answer::Error(..) => 0,
        };
        assert_eq!(count(Writer::default()), SHELF.len());
        assert_eq!(count(Writer::default().number(1, 2)), 2);
        assert_eq!(count(Writer::default().number(1, 2).number(2, 1)), 1);
        assert_eq!(code(&ask("ListLoaves", Writer::default().number(2, -1))), Code::InvalidArgument);
    }

    #[test]
    fn errors_are_the_ones_asked_for() {
        for expected in Code::ALL {
            let asked = Writer::default().number(1, i64::from(expected.number())).text(2, "why");
            let got = if *expected == Code::Ok { Code::InvalidArgument } else { *expected };
            assert_eq!(code(&ask("Fail", asked)), got);
        }
        assert_eq!(code(&ask("Fail", Writer::default().number(1, -5))), Code::InvalidArgument);
        assert_eq!(code(&ask("GetLoaf", Writer::default().text(1, "loaves/none"))), Code::NotFound);
        assert_eq!(code(&ask("WatchOrder", Writer::default().text(1, "none"))), Code::NotFound);
        let no_quantity = Writer::default().text(1, "loaves/rye");
        assert_eq!(code(&ask("PlaceOrder", no_quantity)), Code::InvalidArgument);
        let broken = Bakery::new("ada", Duration::ZERO).answer("/demo.v1.Bakery/Who", &[0xff]);
        assert_eq!(code(&broken), Code::InvalidArgument);
    }
}
