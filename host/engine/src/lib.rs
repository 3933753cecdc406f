//! Runs policies: WebAssembly components behind core's ports
