//! Fewest servers that keep a promise about waiting (Erlang 1917; Gans, Koole and Mandelbaum 2003).

/// The fewest servers with which at most a share of the work waits longer than `wait_s`: M/M/n with `rate` arrivals
/// per second and a mean service time. Searched upward from the least stable size.
pub(crate) fn servers(rate: f64, service_s: f64, wait_s: f64, late_share: f64) -> f64 {
    let load = rate * service_s;
    if !(load > 0.0 && load < LOAD_MAX) {
        return load.max(0.0).ceil();
    }
    // Erlang B by its recursion, which is stable; each step is one more server.
    let (mut blocked, mut servers) = (1.0, 0.0);
    loop {
        servers += 1.0;
        blocked = load * blocked / (servers + load * blocked);
        if servers <= load {
            continue;
        }
        let waits = blocked / (1.0 - (load / servers) * (1.0 - blocked));
        let late = waits * (-(servers - load) / service_s * wait_s).exp();
        if late <= late_share {
            return servers;
        }
    }
}

/// Beyond this many busy servers the margin is below a percent and the recursion not worth its steps.
const LOAD_MAX: f64 = 20_000.0;

#[cfg(test)]
mod tests {
    use super::servers;

    #[test]
    fn sizes_are_those_of_the_tables() {
        // Erlang C with 10 erlangs: 14 servers let 17.4 % wait at all, 15 let 10.2 %, 16 let 5.7 %.
        for (late_share, expected) in [(0.175, 14.0), (0.103, 15.0), (0.06, 16.0)] {
            assert_eq!(servers(10.0, 1.0, 0.0, late_share), expected);
        }
    }

    #[test]
    fn longer_waits_never_need_more_and_more_work_never_fewer() {
        for load in [0.1, 0.9, 1.0, 7.3, 80.0] {
            let sizes: Vec<f64> = [0.0, 0.1, 1.0, 10.0].map(|wait| servers(load, 1.0, wait, 0.01)).to_vec();
            assert!(sizes.is_sorted_by(|short, long| short >= long), "{sizes:?}");
            assert!(sizes.iter().all(|size| *size > load) && servers(load * 1.5, 1.0, 1.0, 0.01) >= sizes[2]);
        }
        assert_eq!(servers(0.0, 1.0, 0.5, 0.01), 0.0);
    }
}
