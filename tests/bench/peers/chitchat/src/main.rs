//! The driver of chitchat for the comparison; tests/bench/peers/README.md has the protocol.
//!
//! A node of chitchat writes only its own keys, so "a key is there" means: in the writer's state, as this node has it.
//!
//! SPDX-License-Identifier: LGPL-2.1-or-later
use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Result;
use chitchat::transport::UdpTransport;
use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion, spawn_chitchat};
use tokio::time::sleep;

/// The crate has no default interval; this is the one of its own test server.
const DEFAULT_INTERVAL: u64 = 500;

struct Options {
    nodes: usize,
    keys: usize,
    interval: u64,
    trials: usize,
    seconds: u64,
    next_part: Instant,
}

fn say(line: String) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|_| out.flush());
}

fn say_sample(row: &str, value: f64) {
    say(format!(r#"{{"row": "{row}", "value": {value:.6}}}"#));
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn key(i: usize) -> String {
    format!("key-{i:016}")
}

fn free_addresses(n: usize) -> Result<Vec<SocketAddr>> {
    let sockets = (0..n).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    Ok(sockets.iter().map(|socket| socket.local_addr()).collect::<Result<_, _>>()?)
}

async fn has(node: &ChitchatHandle, writer: &ChitchatId, key: &str) -> bool {
    let chitchat = node.chitchat();
    let chitchat = chitchat.lock().await;
    chitchat.node_state(writer).is_some_and(|state| state.contains_key(key))
}

async fn set(node: &ChitchatHandle, key: &str, value: &str) {
    node.chitchat().lock().await.self_node_state().set(key, value);
}

impl Options {
    /// Once a second, so that a run that is stopped early has something to tell.
    fn say_part(&mut self, part: f64) {
        if Instant::now() >= self.next_part {
            say(format!(r#"{{"part": {part:.4}}}"#));
            self.next_part = Instant::now() + Duration::from_secs(1);
        }
    }

    async fn make_node(&self, address: SocketAddr, seed: SocketAddr) -> Result<ChitchatHandle> {
        let interval = if self.interval > 0 { self.interval } else { DEFAULT_INTERVAL };
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(format!("node-{address}"), 0, address),
            cluster_id: "peers".to_string(),
            gossip_interval: Duration::from_millis(interval),
            listen_addr: address,
            seed_nodes: if address == seed { Vec::new() } else { vec![seed.to_string()] },
            failure_detector_config: FailureDetectorConfig::default(),
            marked_for_deletion_grace_period: Duration::from_secs(15 * 60),
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V1,
        };
        spawn_chitchat(config, Vec::new(), &UdpTransport).await
    }

    async fn make_cluster(&mut self) -> Result<Vec<ChitchatHandle>> {
        let addresses = free_addresses(self.nodes)?;
        let mut cluster = Vec::new();
        for address in &addresses {
            cluster.push(self.make_node(*address, addresses[0]).await?);
        }
        for node in &cluster {
            while node.chitchat().lock().await.node_states().len() < self.nodes {
                self.say_part(0.0);
                sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(cluster)
    }

    async fn set_keys(&self, node: &ChitchatHandle) {
        for i in 0..self.keys {
            set(node, &key(i), &format!("value-{i:014}")).await;
        }
    }

    /// Waits until all of the writer's keys are there, and returns the part that is at the end of the time.
    async fn wait_filled(&mut self, node: &ChitchatHandle, writer: &ChitchatId, end: Instant) -> f64 {
        loop {
            let chitchat = node.chitchat();
            let there = chitchat.lock().await.node_state(writer).map_or(0, |state| state.num_key_values());
            let part = there as f64 / self.keys.max(1) as f64;
            if there >= self.keys || Instant::now() >= end {
                return part.min(1.0);
            }
            self.say_part(part);
            sleep(Duration::from_micros(500)).await;
        }
    }

    async fn fill_cluster(&mut self, cluster: &[ChitchatHandle]) {
        self.set_keys(&cluster[0]).await;
        let end = Instant::now() + Duration::from_secs(30);
        let mut least: f64 = 1.0;
        if self.keys > 0 {
            for node in cluster {
                least = least.min(self.wait_filled(node, cluster[0].chitchat_id(), end).await);
            }
        }
        if least < 1.0 {
            let percent = 100.0 * least;
            say(format!(r#"{{"note": "began when a node had {percent:.0} % of the keys, after 30 s"}}"#));
        }
    }

    async fn run_spread(&mut self) -> Result<()> {
        let cluster = self.make_cluster().await?;
        self.fill_cluster(&cluster).await;
        sleep(Duration::from_secs(2)).await;
        for trial in 0..self.trials {
            let key = format!("new-{trial}");
            let writer = &cluster[trial % self.nodes];
            let start = Instant::now();
            set(writer, &key, "now").await;
            let mut missing: Vec<_> = cluster.iter().collect();
            loop {
                let mut still = Vec::new();
                for node in missing {
                    if !has(node, writer.chitchat_id(), &key).await {
                        still.push(node);
                    }
                }
                missing = still;
                if missing.is_empty() {
                    break;
                }
                self.say_part(1.0 - missing.len() as f64 / self.nodes as f64);
                sleep(Duration::from_micros(500)).await;
            }
            say_sample("ms", ms(start));
            sleep(Duration::from_millis(100 + 37 * trial as u64)).await;
        }
        Ok(())
    }

    async fn run_join(&mut self) -> Result<()> {
        let addresses = free_addresses(2)?;
        let first = self.make_node(addresses[0], addresses[0]).await?;
        self.set_keys(&first).await;
        say(r#"{"mark": "begin"}"#.to_string());
        sleep(Duration::from_millis(100)).await;
        let start = Instant::now();
        let second = self.make_node(addresses[1], addresses[0]).await?;
        self.wait_filled(&second, first.chitchat_id(), start + Duration::from_secs(3600)).await;
        say_sample("ms", ms(start));
        say(r#"{"mark": "end"}"#.to_string());
        sleep(Duration::from_millis(200)).await;
        Ok(())
    }

    async fn run_idle(&mut self) -> Result<()> {
        let cluster = self.make_cluster().await?;
        self.fill_cluster(&cluster).await;
        sleep(Duration::from_secs(5)).await;
        say(r#"{"mark": "begin"}"#.to_string());
        sleep(Duration::from_secs(self.seconds)).await;
        say(r#"{"mark": "end"}"#.to_string());
        sleep(Duration::from_millis(200)).await;
        Ok(())
    }

    async fn run_local(&mut self) -> Result<()> {
        let address = free_addresses(1)?[0];
        let node = self.make_node(address, address).await?;
        let me = node.chitchat_id().clone();
        let names: Vec<String> = (0..self.keys).map(key).collect();
        let values = ["value-00000000000000", "value-00000000000001"];
        let hot = 200_000;

        for _ in 0..self.trials {
            let start = Instant::now();
            for i in 0..hot {
                set(&node, "hot", values[i & 1]).await;
            }
            say_sample("set-hot-ns", ms(start) * 1e6 / hot as f64);
            let start = Instant::now();
            for _ in 0..hot {
                get(&node, &me, "hot").await;
            }
            say_sample("get-hot-ns", ms(start) * 1e6 / hot as f64);
        }
        let start = Instant::now();
        for name in &names {
            set(&node, name, values[0]).await;
        }
        say_sample("set-many-ns", ms(start) * 1e6 / self.keys as f64);
        for _ in 0..self.trials {
            let start = Instant::now();
            for i in 0..self.keys {
                get(&node, &me, &names[i * 7919 % self.keys]).await;
            }
            say_sample("get-many-ns", ms(start) * 1e6 / self.keys as f64);
        }
        Ok(())
    }

    async fn run_memory(&mut self) -> Result<()> {
        let address = free_addresses(1)?[0];
        let node = self.make_node(address, address).await?;
        self.set_keys(&node).await;
        sleep(Duration::from_secs(1)).await;
        say(r#"{"mark": "end"}"#.to_string());
        sleep(Duration::from_millis(500)).await;
        Ok(())
    }
}

/// A copy of the value, as the other systems give one.
async fn get(node: &ChitchatHandle, writer: &ChitchatId, key: &str) -> Option<String> {
    let chitchat = node.chitchat();
    let chitchat = chitchat.lock().await;
    let value = chitchat.node_state(writer)?.get(key)?;
    std::hint::black_box(Some(value.to_string()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let given: HashMap<&str, u64> = args[2..]
        .chunks(2)
        .map(|pair| Ok((pair[0].trim_start_matches('-'), pair[1].parse()?)))
        .collect::<Result<_>>()?;
    let option = |name: &str, default: u64| *given.get(name).unwrap_or(&default);
    let mut options = Options {
        nodes: option("nodes", 3) as usize,
        keys: option("keys", 0) as usize,
        interval: option("interval", 0),
        trials: option("trials", 5) as usize,
        seconds: option("seconds", 60),
        next_part: Instant::now(),
    };

    match args[1].as_str() {
        "spread" => options.run_spread().await?,
        "join" => options.run_join().await?,
        "idle" => options.run_idle().await?,
        "local" => options.run_local().await?,
        "memory" => options.run_memory().await?,
        _ => {
            say(r#"{"cannot": "no such workload"}"#.to_string());
            return Ok(());
        }
    }
    say(r#"{"done": true}"#.to_string());
    std::process::exit(0);
}
