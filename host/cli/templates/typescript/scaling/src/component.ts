/** The component: the contract's exports over `policy`. Rarely needs a change. */
import { policy, type Request } from "./policy";
import { answered, lifecycleOf, settled } from "../vendor/lifecycle";

const { lifecycle } = lifecycleOf(policy);
export { lifecycle };

export const scaling = {
  scale: (given: Request) => answered(() => policy.scale(given)),
  scaleMany: (given: Request[]) => given.map((one) => settled(() => policy.scale(one))),
};
