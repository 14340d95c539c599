//! An open loop: messages are sent when their time has come, whatever has
//! happened to those before, and each carries that time. What waited anywhere,
//! also in front of the system, is a part of its latency.

pub(crate) mod crowd;
pub(crate) mod dialect;
pub(crate) mod wanderer;
pub(crate) mod wire;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::dialect::Dialect;
use self::wire::{Heard, Wire};

/// What a payload begins with, before the time at which it was due.
const MARK: u8 = b'@';
/// The digits of that time, in microseconds since the load began.
const DIGITS: usize = 12;
/// How long each rate is kept up before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long what is late is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Connections of one system, and what they are told.
pub(crate) struct Load {
    dialect: Dialect,
    writers: Vec<TcpStream>,
    subscribers: u64,
    began: Instant,
    heard: Arc<Mutex<Heards>>,
    readers: Vec<JoinHandle<()>>,
    sent: u64,
}

/// What was heard in the present step.
struct Heards {
    /// The times of messages that count, in microseconds since the load began.
    window: (u64, u64),
    latencies: Histogram<u64>,
    arrived_in_window: u64,
    refused: Option<String>,
    ended: Option<String>,
}

/// What came of one rate.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Messages a second that were sent.
    pub(crate) rate: f64,
    /// Deliveries a second that were due, and those that came in the same time.
    pub(crate) due: f64,
    pub(crate) came: f64,
    /// Deliveries that never came, a second or two after the end.
    pub(crate) missing: u64,
    pub(crate) latencies: Histogram<u64>,
}

impl Step {
    /// A quantile, in milliseconds.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Whether the system kept up: what was due has come, and in the time that was measured.
    pub(crate) fn kept_up(&self) -> bool {
        self.missing == 0 && self.came >= 0.98 * self.due
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 120_000_000, 3)?)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Load {
    /// Connects so many subscribers, taking turns between the ports; the first
    /// of each port publish, too.
    pub(crate) async fn connect(dialect: Dialect, ports: &[u16], subscribers: usize) -> Result<Self> {
        let ports: Vec<u16> = ports.iter().copied().cycle().take(subscribers).collect();
        let publishers = ports.len().min(2);
        Self::between(dialect, &ports[..publishers], true, &ports[publishers..]).await
    }

    /// Connects publishers and others that only listen. What the publishers hear
    /// themselves may be left out of account.
    pub(crate) async fn between(
        dialect: Dialect,
        publishers: &[u16],
        publishers_count: bool,
        listeners: &[u16],
    ) -> Result<Self> {
        let began = Instant::now();
        let heard = Heards {
            window: (u64::MAX, 0),
            latencies: histogram()?,
            arrived_in_window: 0,
            refused: None,
            ended: None,
        };
        let heard = Arc::new(Mutex::new(heard));
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        for (number, port) in publishers.iter().chain(listeners).enumerate() {
            let mut wire = dialect.join(*port).await?;
            let publishes = number < publishers.len();
            if publishes {
                let (reader, writer) = wire.writer()?;
                writers.push(writer);
                wire = reader;
            }
            let heard = Arc::clone(&heard);
            let counts = !publishes || publishers_count;
            readers.push(tokio::spawn(async move {
                if let Err(error) = read(wire, dialect, began, counts, &heard).await {
                    lock(&heard).ended.get_or_insert(format!("{error:#}"));
                }
            }));
        }
        let own = if publishers_count { publishers.len() } else { 0 };
        let subscribers = u64::try_from(own + listeners.len())?;
        Ok(Self { dialect, writers, subscribers, began, heard, readers, sent: 0 })
    }

    /// Keeps up a rate for so long, with payloads of so many bytes.
    pub(crate) async fn step(&mut self, rate: f64, time: Duration, bytes: usize) -> Result<Step> {
        let first = self.began.elapsed() + Duration::from_millis(20);
        let window = (micros(first + WARM_UP), micros(first + WARM_UP + time));
        {
            let mut heard = lock(&self.heard);
            heard.window = window;
            heard.latencies.reset();
            heard.arrived_in_window = 0;
        }
        let schedule = Schedule {
            dialect: self.dialect,
            began: self.began,
            first,
            rate,
            count: (rate * (WARM_UP + time).as_secs_f64()) as u64,
            bytes,
            number: self.sent,
        };
        self.sent += schedule.count;
        let due_times = (0..schedule.count).map(|index| micros(schedule.due(index)));
        let counted = due_times.filter(|due| (window.0..window.1).contains(due)).count() as u64;
        let stop = Arc::new(AtomicBool::new(false));
        let writers = self.writers.iter().map(TcpStream::try_clone).collect::<Result<Vec<_>, _>>()?;
        let publisher = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || publish(writers, &schedule, &stop))
        };
        let due = counted * self.subscribers;
        let end = self.began + first + WARM_UP + time;
        tokio::time::sleep_until(end.into()).await;
        let arrived = lock(&self.heard).arrived_in_window;
        let missing = loop {
            let missing = due.saturating_sub(lock(&self.heard).latencies.len());
            if missing == 0 || end.elapsed() > GRACE {
                break missing;
            }
            sleep(Duration::from_millis(20)).await;
        };
        stop.store(true, Ordering::Release);
        publisher.join().map_err(|_| anyhow::anyhow!("the publisher has panicked"))?.context("publishing")?;
        let heard = lock(&self.heard);
        if let Some(fault) = heard.refused.as_ref().or(heard.ended.as_ref()) {
            bail!("at {rate} messages a second: {fault}");
        }
        let seconds = time.as_secs_f64();
        Ok(Step {
            rate: counted as f64 / seconds,
            due: due as f64 / seconds,
            came: arrived as f64 / seconds,
            missing,
            latencies: heard.latencies.clone(),
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

/// When which message is due.
struct Schedule {
    dialect: Dialect,
    began: Instant,
    first: Duration,
    rate: f64,
    count: u64,
    bytes: usize,
    /// How many were sent before.
    number: u64,
}

impl Schedule {
    fn due(&self, index: u64) -> Duration {
        self.first + Duration::from_secs_f64(index as f64 / self.rate)
    }
}

/// Sends each message when it is due, or as soon as the system takes it; the
/// connections take turns.
fn publish(mut writers: Vec<TcpStream>, schedule: &Schedule, stop: &AtomicBool) -> std::io::Result<()> {
    let filler = "x".repeat(schedule.bytes.saturating_sub(1 + DIGITS));
    let mut waiting: Vec<Vec<u8>> = writers.iter().map(|_| Vec::new()).collect();
    let mut index = 0;
    while index < schedule.count || waiting.iter().any(|bytes| !bytes.is_empty()) {
        if stop.load(Ordering::Acquire) {
            return Ok(());
        }
        let now = schedule.began.elapsed();
        while index < schedule.count && schedule.due(index) <= now {
            let due = micros(schedule.due(index));
            let payload = format!("{}{due:0DIGITS$}{filler}", char::from(MARK));
            let turn = usize::try_from(index).unwrap_or_default() % writers.len();
            schedule.dialect.publish(schedule.number + index, &payload, &mut waiting[turn]);
            index += 1;
        }
        let mut full = false;
        for (writer, bytes) in writers.iter_mut().zip(&mut waiting) {
            if bytes.is_empty() {
                continue;
            }
            match writer.write(bytes) {
                Ok(written) => drop(bytes.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => full = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let pause = if full {
            Duration::from_micros(200)
        } else if index < schedule.count {
            schedule.due(index).saturating_sub(schedule.began.elapsed())
        } else {
            Duration::ZERO
        };
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    Ok(())
}

/// Reads to the end, and notes how late each payload came.
async fn read(
    mut wire: Wire,
    dialect: Dialect,
    began: Instant,
    counts: bool,
    heard: &Mutex<Heards>,
) -> Result<()> {
    let mut latencies = Vec::new();
    loop {
        let at = micros(wire.receive().await?.duration_since(began));
        let mut pings: Vec<Option<Vec<u8>>> = Vec::new();
        let window = lock(heard).window;
        let mut refused = None;
        while let Some(found) = wire.next()? {
            match found {
                Heard::Text(text) => match due(text) {
                    Some(due) if counts && (window.0..window.1).contains(&due) => {
                        latencies.push(at.saturating_sub(due).max(1));
                    }
                    Some(_) => {}
                    None if dialect.asks(text) => pings.push(None),
                    None if dialect.refuses(text) => {
                        refused.get_or_insert(String::from_utf8_lossy(text).into_owned());
                    }
                    None => {}
                },
                Heard::Ping(payload) => pings.push(Some(payload.to_vec())),
                Heard::Close(code) => bail!("closed with {code:?}"),
            }
        }
        if !latencies.is_empty() || refused.is_some() {
            let mut heard = lock(heard);
            if at < heard.window.1 {
                heard.arrived_in_window += latencies.len() as u64;
            }
            for latency in latencies.drain(..) {
                heard.latencies.saturating_record(latency);
            }
            if heard.refused.is_none() {
                heard.refused = refused;
            }
        }
        for ping in pings {
            match ping {
                Some(payload) => wire.pong(&payload).await?,
                None => wire.send(dialect.sign_of_life()).await?,
            }
        }
    }
}

/// The time at which a message was due, if it carries one.
fn due(text: &[u8]) -> Option<u64> {
    let mark = memchr::memchr(MARK, text)?;
    let digits = text.get(mark + 1..mark + 1 + DIGITS)?;
    digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_carries_the_time_at_which_it_was_due() {
        assert_eq!(due(br#"{"data":"@000000012345xxx"}"#), Some(12345));
        assert_eq!(due(br#"{"id":1,"ok":{}}"#), None);
        assert_eq!(due(b"@12"), None);
    }

    #[tokio::test]
    async fn a_system_that_stops_for_a_while_is_seen_in_the_latencies_of_all_that_waited() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // A server that speaks like NATS, echoes, and sleeps once for 300 ms.
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            stream.write_all(b"INFO {}\r\n").await.expect("written");
            let mut bytes = vec![0; 1 << 16];
            let mut slept = false;
            let (mut waiting, mut answered) = (Vec::new(), 0);
            loop {
                let read = stream.read(&mut bytes).await.expect("read");
                if read == 0 {
                    return;
                }
                waiting.extend_from_slice(&bytes[..read]);
                let text = String::from_utf8_lossy(&waiting).into_owned();
                let mut out = String::new();
                if answered == 0 && text.contains("PING") {
                    out.push_str("PONG\r\n");
                    answered = 1;
                    waiting.clear();
                } else if answered > 0 {
                    let whole = text.rfind("\r\n").map_or(0, |end| end + 2);
                    for line in text[..whole].lines().filter(|line| line.starts_with(char::from(MARK))) {
                        out.push_str(&format!("MSG load 1 {}\r\n{line}\r\n", line.len()));
                    }
                    waiting.drain(..whole);
                    answered += 1;
                }
                if answered > 80 && !slept {
                    slept = true;
                    sleep(Duration::from_millis(300)).await;
                }
                stream.write_all(out.as_bytes()).await.expect("written");
            }
        });
        let mut load = Load::connect(Dialect::Nats, &[port], 1).await.expect("connected");
        let step = load.step(100.0, Duration::from_secs(1), 40).await.expect("a step");
        assert_eq!(step.missing, 0);
        // 30 messages were due while it slept: a closed loop would have seen one of them.
        let slow = step.latencies.count_between(100_000, 1_000_000);
        assert!((15..=60).contains(&slow), "{slow} of {}", step.latencies.len());
    }
}
