//! Round-trip times between nodes over time, and the two text formats they are published in.
//!
//! Invariant: every slice is square and of the same size; what is missing is NaN, never 0.

use pilothouse_core::fleet::facts::mix;

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorError {
    /// There is no slice, or one without nodes.
    Empty,
    /// A row has another number of values than there are nodes.
    NotSquare {
        /// The row, from 0.
        row: usize,
        /// The values in it.
        values: usize,
    },
    /// A value is no number.
    NoNumber {
        /// The row, from 0.
        row: usize,
        /// What stands there.
        text: String,
    },
}

impl std::fmt::Display for TensorError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => write!(out, "there are no round-trip times"),
            Self::NotSquare { row, values } => {
                write!(out, "row {row} has {values} values; use a square matrix")
            }
            Self::NoNumber { row, text } => write!(out, "row {row} has `{text}` where a number should be"),
        }
    }
}

impl std::error::Error for TensorError {}

/// Round-trip times by slice, source and target.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    nodes: usize,
    slice_ms: u64,
    /// Row-major matrices, ms.
    slices: Vec<Vec<f32>>,
}

impl Tensor {
    /// A tensor of matrices in ms that a function of (slice, source, target) gives.
    #[must_use]
    pub fn of(
        nodes: usize,
        slices: usize,
        slice_ms: u64,
        rtt_ms: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let matrix = |slice: usize| {
            let cells = (0..nodes).flat_map(|source| (0..nodes).map(move |target| (source, target)));
            cells.map(|(source, target)| rtt_ms(slice, source, target)).collect()
        };
        Self { nodes, slice_ms, slices: (0..slices).map(matrix).collect() }
    }

    /// Slices as NetLatency publishes them: one text a slice, one line a source, seconds separated by blanks, 0 =
    /// missing. What is missing repeats the value before it, else the one after it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse_slices<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        slice_ms: u64,
    ) -> Result<Self, TensorError> {
        let parse = |text: &str| {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            matrix(lines.map(|line| line.split_whitespace().collect()), 1_000.0)
        };
        let slices = texts.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let nodes = slices.first().map_or(0, |(nodes, _)| *nodes);
        if nodes == 0 {
            return Err(TensorError::Empty);
        }
        if let Some((other, _)) = slices.iter().find(|(other, _)| *other != nodes) {
            return Err(TensorError::NotSquare { row: 0, values: *other });
        }
        let mut tensor =
            Self { nodes, slice_ms, slices: slices.into_iter().map(|(_, slice)| slice).collect() };
        tensor.repeat_known();
        Ok(tensor)
    }

    /// A matrix as az-scout publishes it: a header with names, then a line for each source with its name first, ms
    /// separated by commas, empty = missing. Gives the names and a tensor of one slice.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse_csv(text: &str) -> Result<(Vec<String>, Self), TensorError> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let header = lines.next().ok_or(TensorError::Empty)?;
        let names: Vec<String> = header.split(',').skip(1).map(|name| name.trim().to_owned()).collect();
        let (nodes, slice) = matrix(lines.map(|line| line.split(',').skip(1).collect()), 1.0)?;
        if names.len() != nodes {
            return Err(TensorError::NotSquare { row: 0, values: names.len() });
        }
        Ok((names, Self { nodes, slice_ms: 1, slices: vec![slice] }))
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many slices there are.
    #[must_use]
    pub fn slices(&self) -> usize {
        self.slices.len()
    }

    /// Time from one slice to the next, ms.
    #[must_use]
    pub fn slice_ms(&self) -> u64 {
        self.slice_ms
    }

    /// A round-trip time, ms; NaN if missing.
    #[must_use]
    pub fn rtt_ms(&self, slice: usize, source: usize, target: usize) -> f32 {
        let place = source * self.nodes + target;
        self.slices.get(slice).and_then(|slice| slice.get(place)).copied().unwrap_or(f32::NAN)
    }

    /// Consecutive slices, at most so many, from a place drawn by a seed.
    #[must_use]
    pub fn window(&self, slices: usize, seed: u64) -> Self {
        let length = slices.min(self.slices.len());
        let starts = (self.slices.len() - length + 1) as u64;
        let first = (mix(seed) % starts.max(1)) as usize;
        let window = self.slices.iter().skip(first).take(length).cloned().collect();
        Self { slices: window, ..*self }
    }

    fn repeat_known(&mut self) {
        let carry = |slices: &mut dyn Iterator<Item = &mut Vec<f32>>| {
            let mut known = vec![f32::NAN; self.nodes * self.nodes];
            for slice in slices {
                for (value, known) in slice.iter_mut().zip(&mut known) {
                    if value.is_nan() { *value = *known } else { *known = *value }
                }
            }
        };
        carry(&mut self.slices.iter_mut());
        carry(&mut self.slices.iter_mut().rev());
    }
}

/// The size and the values in ms of a square matrix.
fn matrix<'a>(
    rows: impl Iterator<Item = Vec<&'a str>>,
    unit_ms: f32,
) -> Result<(usize, Vec<f32>), TensorError> {
    let rows: Vec<Vec<&str>> = rows.collect();
    let mut values = Vec::with_capacity(rows.len() * rows.len());
    for (row, cells) in rows.iter().enumerate() {
        if cells.len() != rows.len() {
            return Err(TensorError::NotSquare { row, values: cells.len() });
        }
        for cell in cells.iter().map(|cell| cell.trim()) {
            let value: f32 = if cell.is_empty() { Ok(0.0) } else { cell.parse() }
                .map_err(|_| TensorError::NoNumber { row, text: cell.to_owned() })?;
            values.push(if value > 0.0 && value.is_finite() { value * unit_ms } else { f32::NAN });
        }
    }
    Ok((rows.len(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_read_in_seconds_and_gaps_repeat_what_is_known() {
        let tensor =
            Tensor::parse_slices(["0\t0.02\n0.5\t0\n", "0\t0\n0.6\t0\t\n", "0 0.04\n0 0"], 15_000).unwrap();
        let path =
            |source, target| (0..3).map(|slice| tensor.rtt_ms(slice, source, target)).collect::<Vec<_>>();
        assert_eq!((path(0, 1), path(1, 0)), (vec![20.0, 20.0, 40.0], vec![500.0, 600.0, 600.0]));
        assert!(path(0, 0).iter().all(|rtt_ms| rtt_ms.is_nan()) && tensor.rtt_ms(9, 9, 9).is_nan());
    }

    #[test]
    fn a_window_is_a_part_and_follows_its_seed() {
        let tensor = Tensor::of(2, 50, 1, |slice, _, _| slice as f32);
        for seed in 0..20 {
            let window = tensor.window(10, seed);
            assert_eq!(window, tensor.window(10, seed));
            let first = window.rtt_ms(0, 0, 1);
            assert_eq!((window.slices(), window.rtt_ms(9, 0, 1)), (10, first + 9.0));
        }
        assert_eq!(tensor.window(usize::MAX, 3), tensor);
    }

    #[test]
    fn a_csv_has_names_and_milliseconds() {
        let (names, tensor) =
            Tensor::parse_csv("Source,East US,West US\nEast US,,70\nWest US,71.5,\n").unwrap();
        assert_eq!((names.len(), names[1].as_str()), (2, "West US"));
        assert_eq!((tensor.rtt_ms(0, 0, 1), tensor.rtt_ms(0, 1, 0)), (70.0, 71.5));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let no_number = TensorError::NoNumber { row: 0, text: "x".to_owned() };
        for (texts, expected) in [
            (vec![], TensorError::Empty),
            (vec![""], TensorError::Empty),
            (vec!["0 1\n1"], TensorError::NotSquare { row: 1, values: 1 }),
            (vec!["0 1\n1 0", "0"], TensorError::NotSquare { row: 0, values: 1 }),
            (vec!["x 1\n1 0"], no_number),
        ] {
            assert_eq!(Tensor::parse_slices(texts.clone(), 1).unwrap_err(), expected, "{texts:?}");
        }
        assert_eq!(
            Tensor::parse_csv("Source,A,B\nA,1\n").unwrap_err(),
            TensorError::NotSquare { row: 0, values: 2 }
        );
    }
}
