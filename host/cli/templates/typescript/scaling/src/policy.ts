/** Keeps so many replicas that each is busy for a share of its time. */
import type { About, Settings } from "../vendor/pilothouse";

const STEADY = 0;
const UNKNOWN = 1;

/** Values that are unknown are NaN. */
export type Sample = {
  atMs: number;
  arrivalsPerS: number;
  completionsPerS: number;
  queueDepth: number;
  utilisation: number;
  serviceMs: number;
  readyReplicas: number;
};

/** One group; samples are sorted, oldest first. */
export type Request = {
  seed: number;
  nowMs: number;
  replicas: number;
  minReplicas: number;
  maxReplicas: number;
  startMs: number;
  periodMs: number;
  lastChangeMs: number;
  samples: Sample[];
};

export type Target = { replicas: number; confidence: number; forecastPerS: number; reason: number };

const about: About = {
  summary: "A share of busy time for each replica.",
  columns: [],
  settingsSchema: {
    type: "object",
    additionalProperties: false,
    properties: {
      target: {
        type: "number",
        minimum: 0.1,
        maximum: 1,
        default: 0.7,
        description: "Share of its time that a replica is busy.",
      },
    },
  },
  reasons: ["by utilisation", "utilisation is not known"],
};

let target = 0.7;

export const policy = {
  about,

  configure(settings: Settings): void {
    target = Number(settings.get("target") ?? 0.7);
  },

  scale(request: Request): Target {
    const last = request.samples.at(-1);
    if (!last || !(last.utilisation >= 0 && last.utilisation <= 1)) {
      return { replicas: request.replicas, confidence: 0, forecastPerS: NaN, reason: UNKNOWN };
    }
    const wanted = Math.ceil((last.utilisation * last.readyReplicas) / target);
    const replicas = Math.max(Math.min(wanted, request.maxReplicas), request.minReplicas);
    return { replicas, confidence: 1, forecastPerS: last.arrivalsPerS, reason: STEADY };
  },
};
