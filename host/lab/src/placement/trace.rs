//! Reads the tables of the Alibaba trace `cluster-trace-gpu-v2023` ("openb"), from text.
//!
//! Nodes: `sn,cpu_milli,memory_mib,gpu,model`. Workloads: `name,cpu_milli,memory_mib,num_gpu,gpu_milli[,gpu_spec,..]`, `gpu_spec`
//! being the allowed models separated by `|`.
//!
//! Invariant: a line that does not fit its head is an error with its number; nothing is guessed.

use pilothouse_core::device::{DEVICE_MILLIS, DEVICES_MAX, Devices};
use pilothouse_core::member::Resources;

use super::{Node, Workload};

/// Most device models told apart.
const MODELS_MAX: usize = 64;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, the head being 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for BadLine {}

/// The names of device models; a model is its place in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Models(Vec<String>);

impl Models {
    fn bit(&mut self, name: &str) -> Result<u64, String> {
        let place = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        if place < MODELS_MAX { Ok(1 << place) } else { Err(format!("more than {MODELS_MAX} models")) }
    }
}

/// Reads nodes.
///
/// # Errors
/// The first line that cannot be read.
pub fn nodes(text: &str, models: &mut Models) -> Result<Vec<Node>, BadLine> {
    lines(text, &["cpu_milli", "memory_mib", "gpu", "model"], |[cpu, memory, devices, model]| {
        let count = number(devices)? as usize;
        if count > DEVICES_MAX {
            return Err(format!("{count} devices, at most {DEVICES_MAX} are told apart"));
        }
        Ok(Node {
            cpu_millis: number(cpu)?,
            memory_mib: number(memory)?,
            devices: Devices::new(std::iter::repeat_n(DEVICE_MILLIS, count)),
            model: models.bit(model)?,
        })
    })
}

/// Reads workloads.
///
/// # Errors
/// The first line that cannot be read.
pub fn workloads(text: &str, models: &mut Models) -> Result<Vec<Workload>, BadLine> {
    let columns = ["cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "?gpu_spec"];
    lines(text, &columns, |[cpu, memory, devices, millis, allowed]| {
        let devices = number(devices)?;
        let each = if devices == 0 { 0 } else { number(millis)? };
        let mut bits = 0;
        for model in allowed.split('|').filter(|model| !model.is_empty()) {
            bits |= models.bit(model)?;
        }
        let needs = Resources {
            cpu_millis: number(cpu)?,
            memory_mib: number(memory)?,
            storage_mib: 0,
            accelerator_millis: devices.saturating_mul(each),
        };
        Ok(Workload { needs, models: if bits == 0 { !0 } else { bits } })
    })
}

/// The rows of a table, with the named columns; a name that begins with `?` may be missing and is then empty.
fn lines<T, const N: usize>(
    text: &str,
    columns: &[&str; N],
    mut read: impl FnMut([&str; N]) -> Result<T, String>,
) -> Result<Vec<T>, BadLine> {
    let mut lines = (1..).zip(text.lines());
    let (_, head) = lines.next().unwrap_or((1, ""));
    let head: Vec<&str> = head.split(',').map(str::trim).collect();
    let mut places = [None; N];
    for (place, &column) in places.iter_mut().zip(columns) {
        let name = column.trim_start_matches('?');
        *place = head.iter().position(|known| *known == name);
        if place.is_none() && name == column {
            return Err(BadLine { line: 1, problem: format!("there is no column `{name}`") });
        }
    }
    let row = |(line, text): (usize, &str)| {
        let values: Vec<&str> = text.split(',').map(str::trim).collect();
        let value =
            |place: Option<usize>| place.and_then(|place| values.get(place).copied()).unwrap_or_default();
        read(places.map(value)).map_err(|problem| BadLine { line, problem })
    };
    lines.filter(|(_, text)| !text.trim().is_empty()).map(row).collect()
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_by_their_heads() {
        let mut models = Models::default();
        let nodes =
            nodes("sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,2,P100\nb,96000,1,8,T4\n", &mut models);
        let nodes = nodes.unwrap();
        assert_eq!(nodes.iter().map(|node| node.devices.free_millis()).collect::<Vec<_>>(), [2_000, 8_000]);
        let text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np,1,2,1,460,T4|P100\nq,1,2,0,,\nr,1,2,8,1000,T4";
        let workloads = workloads(text, &mut models).unwrap();
        let read: Vec<(u32, u64)> =
            workloads.iter().map(|workload| (workload.needs.accelerator_millis, workload.models)).collect();
        assert_eq!(read, [(460, 3), (0, !0), (8_000, nodes[1].model)]);
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        let head = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n";
        for (text, line, problem) in [
            ("name,cpu_milli\n".to_owned(), 1, "there is no column `memory_mib`"),
            (format!("{head}p,1,2,0,\nq,x,2,0,"), 3, "`x` is not a whole number"),
            (format!("{head}p,1"), 2, "`` is not a whole number"),
        ] {
            let bad = workloads(&text, &mut Models::default()).unwrap_err();
            assert_eq!((bad.line, bad.problem.as_str()), (line, problem));
        }
    }
}
