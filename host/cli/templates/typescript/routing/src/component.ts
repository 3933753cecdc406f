/** The component: the contract's exports over `policy`. Rarely needs a change. */
import { policy, type Request } from "./policy";
import { answered, lifecycleOf, settled } from "../vendor/lifecycle";

const { lifecycle, instance } = lifecycleOf(policy);
export { lifecycle };

type Given = Request & { class: number };
const route = (given: Given) => policy.route(instance.fleet, instance.members(given.class), given);

export const routing = {
  route: (given: Given) => answered(() => route(given)),
  routeMany: (given: Given[]) => given.map((one) => settled(() => route(one))),
};
