//! The server and its machine at a glance; the heartbeat tells the same.

use serde::Serialize;

use super::json::Data;
use super::{Answer, Call};
use crate::app::cli::VERSION;
use crate::app::server::Server;
use crate::app::stat::host::wall_ms;

/// All of it.
#[derive(Serialize)]
pub struct Summaries<'a> {
    ok: bool,
    now_ms: u64,
    #[serde(rename = "self")]
    process: Process<'a>,
    system: System,
}

#[derive(Serialize)]
struct Process<'a> {
    version: &'static str,
    pid: u32,
    ppid: u32,
    argv: &'a str,
    cwd: &'a str,
    mem_kbyte: i64,
    mem_percent: f64,
    cpu_percent: f64,
    srs_uptime: u64,
    /// Beyond SRS: how overloaded the server is.
    water_level: &'static str,
}

#[derive(Serialize)]
struct System {
    cpu_percent: f64,
    #[serde(rename = "disk_read_KBps")]
    disk_read_kbytes: u64,
    #[serde(rename = "disk_write_KBps")]
    disk_write_kbytes: u64,
    disk_busy_percent: f64,
    mem_ram_kbyte: u64,
    mem_ram_percent: f64,
    mem_swap_kbyte: u64,
    mem_swap_percent: f64,
    cpus: u64,
    cpus_online: u64,
    uptime: f64,
    // The name that clients know.
    ilde_time: f64,
    load_1m: f64,
    load_5m: f64,
    load_15m: f64,
    net_sample_time: u64,
    net_recv_bytes: u64,
    net_send_bytes: u64,
    net_recvi_bytes: u64,
    net_sendi_bytes: u64,
    srs_sample_time: u64,
    srs_recv_bytes: u64,
    srs_send_bytes: u64,
    conn_sys: u64,
    conn_sys_et: u64,
    conn_sys_tw: u64,
    conn_sys_udp: u64,
    conn_srs: usize,
}

impl<'a> Summaries<'a> {
    /// The newest samples.
    pub fn of(server: &'a Server) -> Self {
        let stat = &server.stat;
        let host = &stat.host;
        let (rusage, memory, platform, disks) = (host.rusage(), host.memory(), host.platform(), host.disks());
        let (process_cpu, machine_cpu) = (host.process_cpu(), host.machine_cpu());
        let (devices, sockets) = (host.devices(), host.sockets());
        let process = Process {
            version: VERSION,
            pid: host.process.pid,
            ppid: host.process.parent(),
            argv: &host.process.argv,
            cwd: &host.process.cwd,
            mem_kbyte: rusage.ru_maxrss,
            mem_percent: rusage.ru_maxrss as f64 / memory.total.max(1) as f64,
            cpu_percent: process_cpu.percent,
            srs_uptime: wall_ms().saturating_sub(host.process.started_ms) / 1000,
            water_level: server.overload.water().name(),
        };
        let system = System {
            cpu_percent: machine_cpu.percent,
            disk_read_kbytes: disks.read_kbytes,
            disk_write_kbytes: disks.write_kbytes,
            disk_busy_percent: disks.busy,
            mem_ram_kbyte: memory.total,
            mem_ram_percent: memory.percent_ram,
            mem_swap_kbyte: memory.swap_total,
            mem_swap_percent: memory.percent_swap,
            cpus: platform.cpus,
            cpus_online: platform.cpus_online,
            uptime: platform.uptime,
            ilde_time: platform.idle_time,
            load_1m: platform.load[0],
            load_5m: platform.load[1],
            load_15m: platform.load[2],
            net_sample_time: devices.sample_time,
            net_recv_bytes: devices.public_received,
            net_send_bytes: devices.public_sent,
            net_recvi_bytes: devices.private_received,
            net_sendi_bytes: devices.private_sent,
            srs_sample_time: stat.total.sampled_ms(),
            srs_recv_bytes: stat.total.received(),
            srs_send_bytes: stat.total.sent(),
            conn_sys: sockets.tcp,
            conn_sys_et: sockets.established,
            conn_sys_tw: sockets.time_wait,
            conn_sys_udp: sockets.udp,
            conn_srs: stat.client_count(),
        };
        Summaries {
            ok: rusage.ok && process_cpu.ok && machine_cpu.ok && memory.ok && platform.ok && devices.ok && sockets.ok,
            now_ms: wall_ms(),
            process,
            system,
        }
    }
}

/// `/api/v1/summaries`.
pub(super) fn answer(call: &Call<'_>) -> Answer {
    call.ok(Data {
        data: Summaries::of(call.server),
    })
}
