//! The driver of zenoh for the comparison; tests/bench/peers/README.md has the protocol, and tests/bench/pair/pair.c does
//! the same for the systems that have a library in C.
//!
//! Two keys, one for each direction, between two sessions in mode peer, over TCP on loopback, as zenoh prefers it.
//! Scouting is off. All else is as it comes.
//!
//! SPDX-License-Identifier: LGPL-2.1-or-later
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zenoh::pubsub::Publisher;
use zenoh::{Config, Session, Wait};

const WARMING: u32 = 200;
const WRITES_A_SECOND: u32 = 1000;
const PATIENCE: Duration = Duration::from_secs(30);

const HELLO: u32 = 1;
const PING: u32 = 2;
const ONE_WAY: u32 = 3;
const HOT: u32 = 4;
const END: u32 = 5;

// --- What travels, and what is said

#[derive(Clone, Copy)]
struct Value {
    kind: u32,
    serial: u32,
    stamp: i64,
}

fn clock(id: libc::clockid_t) -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(id, &mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn now() -> i64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// Processor time of all threads of this process, in ns.
fn cpu() -> i64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn write(publisher: &Publisher<'static>, kind: u32, serial: u32) {
    let mut bytes = [b'x'; 64];
    bytes[0..4].copy_from_slice(&kind.to_ne_bytes());
    bytes[4..8].copy_from_slice(&serial.to_ne_bytes());
    bytes[8..16].copy_from_slice(&now().to_ne_bytes());
    let _ = publisher.put(&bytes[..]).wait();
}

fn read(bytes: &[u8]) -> Option<Value> {
    Some(Value {
        kind: u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?),
        serial: u32::from_ne_bytes(bytes.get(4..8)?.try_into().ok()?),
        stamp: i64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?),
    })
}

fn say(line: String) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|_| out.flush());
}

fn say_sample(row: &str, value: f64) {
    say(format!(r#"{{"row": "{row}", "value": {value:.4}}}"#));
}

fn say_ages(name: &str, ages: &mut [i64], unit: f64) {
    ages.sort_unstable();
    for (quantile, part) in [("median", 0.5), ("99", 0.99), ("99.9", 0.999), ("max", 1.0)] {
        if let Some(age) = ages.get(((part * ages.len() as f64) as usize).min(ages.len().saturating_sub(1))) {
            say_sample(&format!("{name}-{quantile}"), *age as f64 / unit);
        }
    }
}

struct Options {
    workload: String,
    trials: u32,
    seconds: u32,
    cores: u32,
    other: Option<String>,
}

fn open(own: &'static str, listen: Option<&str>, connect: Option<&str>) -> zenoh::Result<(Session, Publisher<'static>)> {
    let mut config = Config::default();
    let list = |address: Option<&str>| address.map_or("[]".to_string(), |a| format!(r#"["tcp/{a}"]"#));
    config.insert_json5("mode", r#""peer""#)?;
    config.insert_json5("scouting/multicast/enabled", "false")?;
    config.insert_json5("scouting/gossip/enabled", "false")?;
    config.insert_json5("listen/endpoints", &list(listen))?;
    config.insert_json5("connect/endpoints", &list(connect))?;
    let session = zenoh::open(config).wait()?;
    let publisher = session.declare_publisher(own).wait()?;
    Ok((session, publisher))
}

// --- The end that answers

struct Other {
    last_kind: u32,
    ages: Vec<i64>,
    told: u64,
    started: i64,
    last_hot: i64,
    cpu_started: i64,
}

fn be_other(options: &Options, address: &str) -> zenoh::Result<()> {
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let (session, publisher) = open("pair/other", Some(address), None)?;
    let (trials, hot) = (f64::from(options.trials), options.workload == "hot");
    let writes = f64::from(options.seconds * WRITES_A_SECOND);
    let (done, ended) = channel();
    let state = Mutex::new(Other { last_kind: 0, ages: Vec::new(), told: 0, started: 0, last_hot: 0, cpu_started: 0 });
    let _subscriber = session
        .declare_subscriber("pair/first")
        .callback(move |sample| {
            let Some(value) = read(&sample.payload().to_bytes()) else { return };
            let (mut state, time) = (state.lock().unwrap(), now());
            if value.kind != state.last_kind && state.last_kind == PING {
                say_sample("cpu", (cpu() - state.cpu_started) as f64 / 1e3 / trials);
            }
            match value.kind {
                HELLO => write(&publisher, HELLO, value.serial),
                PING => {
                    if value.serial == WARMING {
                        state.cpu_started = cpu();
                    }
                    write(&publisher, PING, value.serial);
                }
                ONE_WAY => state.ages.push(time - value.stamp),
                HOT => {
                    if state.told == 0 {
                        (state.started, state.cpu_started) = (time, cpu());
                    }
                    state.told += 1;
                    state.last_hot = time;
                }
                END if state.last_kind != END => {
                    if hot {
                        // What came after the writer's last moment had waited.
                        let taken = (value.stamp.max(state.last_hot) - state.started).max(1);
                        say_sample("hot-told", state.told as f64 * 1e9 / taken as f64);
                        let used = (cpu() - state.cpu_started) as f64 / (time - state.started).max(1) as f64;
                        say_sample("hot-cpu", 100.0 * used);
                    } else if writes > 0.0 {
                        say_sample("one-way-received", 100.0 * state.ages.len() as f64 / writes);
                        say_ages("one-way", &mut state.ages, 1e3);
                    }
                    let _ = done.send(());
                }
                _ => (),
            }
            state.last_kind = value.kind;
        })
        .wait()?;
    let _ = ended.recv();
    Ok(())
}

// --- The end that begins

fn wait_for_first_hello(publisher: &Publisher<'static>, heard: &AtomicBool) -> bool {
    let start = Instant::now();
    let mut serial = 0;
    while !heard.load(Ordering::Acquire) && start.elapsed() < PATIENCE {
        write(publisher, HELLO, serial);
        serial += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    heard.load(Ordering::Acquire)
}

fn write_one_way(publisher: &Publisher<'static>, seconds: u32) {
    let every = 1_000_000_000 / i64::from(WRITES_A_SECOND);
    let mut next = now() + 200_000_000;
    for serial in 0..seconds * WRITES_A_SECOND {
        // When a write is late the next ones don't hurry, as with the timer of the drivers in C.
        next = (next + every).max(now());
        let until = libc::timespec { tv_sec: next / 1_000_000_000, tv_nsec: next % 1_000_000_000 };
        unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &until, std::ptr::null_mut()) };
        write(publisher, ONE_WAY, serial);
    }
}

fn write_without_pause(publisher: &Publisher<'static>, seconds: u32) {
    let start = now();
    let mut serial = 0;
    while now() - start < i64::from(seconds) * 1_000_000_000 {
        write(publisher, HOT, serial);
        serial += 1;
    }
    say_sample("hot-written", f64::from(serial) * 1e9 / (now() - start) as f64);
}

fn be_first(options: &Options, address: &str, child: &mut Child) -> zenoh::Result<()> {
    let (session, publisher) = open("pair/first", None, Some(address))?;
    let publisher = Arc::new(publisher);
    let heard = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let trials = options.trials;
    let (done, finished): (Sender<()>, Receiver<()>) = channel();

    let (heard_there, sent_there, publisher_there) = (heard.clone(), sent.clone(), publisher.clone());
    let state = Mutex::new((0, Vec::new(), 0));
    let _subscriber = session
        .declare_subscriber("pair/other")
        .callback(move |sample| {
            let Some(value) = read(&sample.payload().to_bytes()) else { return };
            if value.kind == HELLO {
                heard_there.store(true, Ordering::Release);
            }
            let mut state = state.lock().unwrap();
            let (serial, ages, cpu_started) = &mut *state;
            if value.kind != PING || value.serial != *serial {
                return;
            }
            if *serial >= WARMING {
                ages.push(now() - sent_there.load(Ordering::Acquire) as i64);
            }
            *serial += 1;
            if *serial == WARMING {
                *cpu_started = cpu();
            }
            if *serial < WARMING + trials {
                sent_there.store(now() as u64, Ordering::Release);
                write(&publisher_there, PING, *serial);
            } else {
                say_sample("cpu", (cpu() - *cpu_started) as f64 / 1e3 / f64::from(trials));
                say_ages("half", ages, 2e3);
                let _ = done.send(());
            }
        })
        .wait()?;

    if !wait_for_first_hello(&publisher, &heard) {
        say(r#"{"cannot": "the two ends didn't find each other"}"#.to_string());
        return Ok(());
    }
    if options.workload == "hot" {
        write_without_pause(&publisher, options.seconds);
    } else {
        sent.store(now() as u64, Ordering::Release);
        write(&publisher, PING, 0);
        if finished.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            say(r#"{"cannot": "a value got lost"}"#.to_string());
            return Ok(());
        }
        write_one_way(&publisher, options.seconds);
    }
    // It is said until the other end has understood it and is gone.
    std::thread::sleep(Duration::from_millis(100));
    let mut serial = 0;
    while child.try_wait()?.is_none() {
        write(&publisher, END, serial);
        serial += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Before any thread is started, so that all of this end stay where it is.
fn choose_core(cores: u32, is_first: bool) {
    let mut n_left = if cores == 2 && !is_first { 1 } else { 0 };
    if cores == 0 {
        return;
    }
    unsafe {
        let size = std::mem::size_of::<libc::cpu_set_t>();
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        let mut own: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size, &mut allowed);
        for core in (0..libc::CPU_SETSIZE as usize).filter(|core| libc::CPU_ISSET(*core, &allowed)) {
            if n_left == 0 {
                libc::CPU_SET(core, &mut own);
            }
            n_left -= 1;
        }
        // Where there is one core only, all stays as it is.
        if libc::CPU_COUNT(&own) == 1 {
            libc::sched_setaffinity(0, size, &own);
        }
    }
}

fn main() -> zenoh::Result<()> {
    let mut options = Options { workload: String::new(), trials: 10000, seconds: 3, cores: 0, other: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--trials" => options.trials = args.next().unwrap_or_default().parse()?,
            "--seconds" => options.seconds = args.next().unwrap_or_default().parse()?,
            "--cores" => options.cores = args.next().unwrap_or_default().parse()?,
            "--other" => options.other = args.next(),
            _ => options.workload = arg,
        }
    }
    if options.workload != "pair" && options.workload != "hot" {
        say(r#"{"cannot": "no such workload"}"#.to_string());
        return Ok(());
    }
    choose_core(options.cores, options.other.is_none());
    if let Some(address) = &options.other {
        return be_other(&options, address);
    }

    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let mut child = Command::new(std::env::current_exe()?)
        .args([&options.workload, "--trials", &options.trials.to_string()])
        .args(["--seconds", &options.seconds.to_string(), "--cores", &options.cores.to_string(), "--other", &address])
        .stdin(Stdio::null())
        .spawn()?;
    let result = be_first(&options, &address, &mut child);
    let _ = child.kill();
    say(r#"{"done": true}"#.to_string());
    // Closing is no part of the figures.
    result.map(|_| std::process::exit(0))
}
