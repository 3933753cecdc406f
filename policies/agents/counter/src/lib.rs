//! An agent that counts and keeps bytes: to see that a workload keeps its state when it moves.
//!
//! `add 5` -> total, saved -> `5`; `get` -> `5`, nothing saved
//!
//! Invariant: a message that is refused changed nothing. The total wraps nowhere: what would overflow is refused.

use pilothouse_sdk::agent::{Agent, Context, Refusal, Reply};
use pilothouse_sdk::{About, Rng, Settings, export_agent};

/// Most bytes that `fill` keeps, whatever the settings say: the host takes states of 4 MiB.
const FILL_BYTES_MAX: u32 = 4_000_000;
/// Bytes of the total at the start of the state.
const TOTAL_BYTES: usize = 8;
/// Most sides of a die.
const SIDES_MAX: u32 = 1_000_000;

/// The agent.
#[derive(Debug, Default)]
pub struct Counter {
    total: i64,
    filling: Vec<u8>,
    fill_bytes_max: u32,
}
export_agent!(Counter);

/// What a message says.
enum Command {
    Add(i64),
    Get,
    Fill(usize),
    Roll(u32),
}

impl Agent for Counter {
    const ABOUT: About = About {
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"fill-bytes-max":{"type":"integer","minimum":0,"maximum":4000000,"default":4000000}}}"#,
        ..About::new("counter", "1.0.0", "Counts and keeps bytes.")
    };

    fn new(settings: &mut Settings) -> Self {
        let fill_bytes_max = settings.integer("fill-bytes-max", FILL_BYTES_MAX, 0..=FILL_BYTES_MAX);
        Self { fill_bytes_max, ..Self::default() }
    }

    fn handle(&mut self, message: &[u8], context: Context) -> Result<Reply, Refusal> {
        match self.parse(message)? {
            Command::Get => Ok(Reply::unchanged(self.total.to_string())),
            Command::Add(amount) => self.add(amount),
            Command::Roll(sides) => self.add(1 + i64::from(Rng::new(context.seed).below(sides))),
            Command::Fill(bytes) => {
                self.filling = vec![b'.'; bytes];
                Ok(Reply::changed(format!("filled {bytes}")))
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut state = Vec::with_capacity(TOTAL_BYTES + self.filling.len());
        state.extend_from_slice(&self.total.to_le_bytes());
        state.extend_from_slice(&self.filling);
        state
    }

    fn restore(&mut self, mut state: Vec<u8>) -> Result<(), String> {
        let total = state.first_chunk().copied();
        self.total = i64::from_le_bytes(total.ok_or_else(|| {
            format!("a state of the counter has at least {TOTAL_BYTES} bytes, this one {}", state.len())
        })?);
        self.filling = state.split_off(TOTAL_BYTES);
        Ok(())
    }
}

impl Counter {
    fn add(&mut self, amount: i64) -> Result<Reply, Refusal> {
        let sum = self.total.checked_add(amount);
        self.total = sum.ok_or_else(|| Refusal::NotNow("the total would overflow".to_owned()))?;
        Ok(Reply::changed(self.total.to_string()))
    }

    fn parse(&self, message: &[u8]) -> Result<Command, Refusal> {
        let unknown = || Refusal::BadMessage("use `add N`, `get`, `fill BYTES` or `roll SIDES`".to_owned());
        let text = std::str::from_utf8(message).map_err(|_| unknown())?.trim();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let outside = |most: u32| {
            Refusal::BadMessage(format!(
                "`{word}` takes a whole number, at most {most}, not `{}`",
                rest.escape_debug()
            ))
        };
        match word {
            "get" if rest.is_empty() => Ok(Command::Get),
            "add" => rest.parse().map(Command::Add).map_err(|_| {
                Refusal::BadMessage(format!("`add` takes a whole number, not `{}`", rest.escape_debug()))
            }),
            "fill" => {
                let bytes = rest.parse::<u32>().ok().filter(|&bytes| bytes <= self.fill_bytes_max);
                Ok(Command::Fill(bytes.ok_or_else(|| outside(self.fill_bytes_max))? as usize))
            }
            "roll" => {
                let sides = rest.parse::<u32>().ok().filter(|sides| (1..=SIDES_MAX).contains(sides));
                Ok(Command::Roll(sides.ok_or_else(|| outside(SIDES_MAX))?))
            }
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::agent::configured;

    const CONTEXT: Context = Context { seed: 7, now_ms: 0 };

    fn say(counter: &mut Counter, message: &str) -> Result<String, Refusal> {
        counter.handle(message.as_bytes(), CONTEXT).map(|reply| String::from_utf8(reply.body).unwrap())
    }

    #[test]
    fn a_restored_counter_goes_on_where_the_saved_one_was() {
        let mut counter = configured::<Counter>(Vec::new()).unwrap();
        assert_eq!(say(&mut counter, "add 5").unwrap(), "5");
        assert_eq!(say(&mut counter, "fill 100").unwrap(), "filled 100");
        let mut other = configured::<Counter>(Vec::new()).unwrap();
        other.restore(counter.save()).unwrap();
        assert_eq!((say(&mut other, "add -7").unwrap(), other.save().len()), ("-2".to_owned(), 108));
        assert!(!other.handle(b"get", CONTEXT).unwrap().changed, "a question needs no save");
        assert!(other.restore(vec![1, 2]).unwrap_err().contains("at least 8 bytes"));
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right_and_changes_nothing() {
        let mut counter = configured::<Counter>(Vec::new()).unwrap();
        counter.total = i64::MAX;
        let before = counter.save();
        for (message, wanted) in [
            ("", "use `add N`"),
            ("get on", "use `add N`"),
            ("add x", "`add` takes a whole number, not `x`"),
            ("add 1", "overflow"),
            ("fill 4000001", "at most 4000000"),
            ("roll 0", "at most 1000000"),
        ] {
            let refusal = format!("{:?}", say(&mut counter, message).unwrap_err());
            assert!(refusal.contains(wanted), "{message}: {refusal}");
            assert_eq!(counter.save(), before, "{message}");
        }
        assert!(counter.handle(&[0xff], CONTEXT).is_err());
    }
}
