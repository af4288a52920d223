// A character that shows poses: the head that came along, or a .glb or .vrm of somebody's own. Two side by side on demand.
import { Box3, DirectionalLight, GLTFLoader, HemisphereLight, OrbitControls, PerspectiveCamera, Quaternion, Scene, Vector3,
  WebGLRenderer } from "/page/vendor/three.js";

const about = (x, y, z, angle) => new Quaternion().setFromAxisAngle(new Vector3(x, y, z), angle);

export class Head {
  #dirty = true; #resting = new Quaternion(); #moves = []; #turner = null; #size = ""; #drawing = null; #first = null;

  // Throws where there is no WebGL.
  constructor(canvas, names) {
    this.canvas = canvas;
    this.names = names;
    const context = canvas.getContext("webgl2", { antialias: true });
    if (!context) throw new Error("no WebGL");
    this.renderer = new WebGLRenderer({ canvas, context });
    this.scene = new Scene();
    this.scene.add(new HemisphereLight("#fff6ee", "#d8c4ba", 1.9));
    for (const [power, ...place] of [[1.9, -0.5, 0.6, 1], [0.7, 1, 0.2, 0.6], [0.8, 0.3, 0.6, -1]]) {
      const lamp = new DirectionalLight("#fff", power);
      lamp.position.set(...place);
      this.scene.add(lamp);
    }
    this.camera = new PerspectiveCamera(20, 1, 0.01, 100);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enablePan = false;
    this.controls.addEventListener("change", () => { this.#dirty = true; });
    this.poses = [null];
    this.size = [canvas.clientWidth, canvas.clientHeight];
    new ResizeObserver(([{ contentRect: { width, height } }]) => { this.size = [width, height]; this.#dirty = true; }).observe(canvas);
    canvas.addEventListener("webglcontextrestored", () => { this.#dirty = true; });
  }

  async own() {
    const { scene } = await new GLTFLoader().loadAsync("/head.glb");
    const meshes = [], moves = this.names.map((name) => ({ name, to: [] }));
    scene.traverse((mesh) => { if (mesh.morphTargetDictionary) meshes.push(mesh); });
    for (const { name, to } of moves)
      for (const mesh of meshes)
        if (name in mesh.morphTargetDictionary) to.push([mesh, mesh.morphTargetDictionary[name], 1]);
    this.presets = null;
    this.#take(scene, moves, scene.getObjectByName("Head"), { above: [0, 0, 0, 1], vrm: null });
    this.#look(new Vector3(0, -0.012, 0), 0.86);
    // At rest it is there sooner without its shapes: 19 MB less to hand over, a simpler program. They come right after.
    const shapes = meshes.map(({ geometry }) => geometry.morphAttributes);
    for (const { geometry } of meshes) geometry.morphAttributes = {};
    this.#first = () => meshes.forEach(({ geometry }, k) => { geometry.morphAttributes = shapes[k]; });
  }

  // `found`: what the studio says moves in it; `presets`: what VRM's vowels and moods are made of.
  async load(buffer, found, presets) {
    const { scene, parser } = await new GLTFLoader().parseAsync(buffer, "");
    const nodes = new Map();
    for (const [object, place] of parser.associations)
      if (place?.nodes !== undefined && object.isObject3D && !nodes.has(place.nodes)) nodes.set(place.nodes, object);
    const signals = found.presets ? presets.names : this.names;
    const moves = signals.map((name) => ({ name, to: [] }));
    for (const move of moves)
      for (const [node, target, share] of found.binds[move.name] ?? [])
        nodes.get(node)?.traverse((mesh) => { if (mesh.morphTargetInfluences) move.to.push([mesh, target, share]); });
    this.presets = found.presets ? presets : null;
    if (found.vrm === 0) scene.rotation.y = Math.PI;
    this.#take(scene, moves, nodes.get(found.head), found);
    scene.updateWorldMatrix(true, true);
    const box = new Box3().setFromObject(scene), top = box.max.y, height = top - box.min.y;
    const neck = this.#turner?.getWorldPosition(new Vector3()).y;
    const tall = neck !== undefined && top - neck < 0.4 * height;  // a body below: look at its head
    const middle = tall ? neck + 0.45 * (top - neck) : (top + box.min.y) / 2, seen = tall ? 1.5 * (top - neck) : 1.1 * height;
    this.#look(new Vector3((box.min.x + box.max.x) / 2, middle, tall ? 0 : (box.min.z + box.max.z) / 2), seen / (2 * Math.tan(Math.PI / 18)) + (tall ? 0 : (box.max.z - box.min.z) / 2));
  }

  #take(scene, moves, turner, { above, vrm }) {
    if (this.figure) {
      this.scene.remove(this.figure);
      this.figure.traverse((part) => {
        part.geometry?.dispose();
        for (const material of [part.material ?? []].flat()) {
          for (const value of Object.values(material)) value?.isTexture && value.dispose();
          material.dispose();
        }
      });
    }
    this.figure = scene;
    this.scene.add(scene);
    scene.traverse((part) => { part.frustumCulled = false; });
    this.#moves = moves;
    this.#turner = turner ?? null;
    if (turner) this.#resting = turner.quaternion.clone();
    this.above = new Quaternion(...above);
    this.flip = vrm === 0 ? -1 : 1;
    this.#dirty = true;
  }

  #look(at, distance) {
    this.controls.target.copy(at);
    this.camera.position.copy(at).add(new Vector3(0, 0, distance));
    Object.assign(this.controls, { minDistance: distance / 4, maxDistance: distance * 4 });
    this.camera.near = distance / 50; this.camera.far = distance * 50;
    this.controls.update();
    this.#dirty = true;
  }

  // Poses of 61 numbers, one or two; drawn at the next `draw`.
  show(...poses) { this.poses = poses; this.#dirty = true; }

  #pose(pose) {
    for (const { to } of this.#moves) for (const [mesh, target] of to) mesh.morphTargetInfluences[target] = 0;
    if (!pose) return;
    const values = this.presets ? vowels(this.presets, this.names, pose) : pose;
    this.#moves.forEach(({ to }, k) => { for (const [mesh, target, share] of to) mesh.morphTargetInfluences[target] += share * values[k]; });
    for (const { to } of this.#moves)
      for (const [{ morphTargetInfluences: all }, target] of to) all[target] = Math.min(1, Math.max(0, all[target]));
    if (!this.#turner) return;
    const [yaw, pitch, roll] = pose.subarray(52, 55);
    const turn = about(0, 1, 0, -yaw).multiply(about(1, 0, 0, pitch * this.flip)).multiply(about(0, 0, 1, -roll * this.flip));
    this.#turner.quaternion.copy(this.above).invert().multiply(turn).multiply(this.above).multiply(this.#resting);
  }

  // A picture of the poses; false if there is nothing new, or the last one is still being drawn: who draws in software
  // gets fewer pictures, not late ones.
  draw() {
    const gl = this.renderer.getContext();
    if (this.#drawing && gl.clientWaitSync(this.#drawing, 0, 0) === gl.TIMEOUT_EXPIRED) return false;
    if (this.#drawing) this.#drawn(gl);
    const [width, height] = this.size, scale = Math.min(devicePixelRatio, 2);
    if (this.#size !== `${width} ${height} ${scale}`) {
      this.#size = `${width} ${height} ${scale}`;
      this.renderer.setPixelRatio(scale);
      this.renderer.setSize(width, height, false);
      this.#dirty = true;
    }
    if (!this.#dirty || !this.figure || !width) return false;
    this.#dirty = false;
    const each = width / this.poses.length;
    this.camera.aspect = each / height;
    this.camera.zoom = Math.min(1, this.camera.aspect * 1.15);
    this.camera.updateProjectionMatrix();
    this.renderer.setScissorTest(this.poses.length > 1);
    this.poses.forEach((pose, k) => {
      this.#pose(pose);
      this.renderer.setViewport(k * each, 0, each, height);
      this.renderer.setScissor(k * each, 0, each, height);
      this.renderer.render(this.scene, this.camera);
    });
    this.#drawing = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    return true;
  }

  #drawn(gl) {
    gl.deleteSync(this.#drawing);
    this.#drawing = null;
    if (!this.#first) return;
    performance.mark("face");
    this.#first();
    this.#first = null;
    this.#dirty = true;
  }

  // What a morph target of the character stands at; for tests, and whoever asks in the console.
  weight(shape) {
    const [[mesh, target] = []] = this.#moves.find(({ name }) => name === shape)?.to ?? [];
    return mesh?.morphTargetInfluences[target];
  }
}

// VRM's vowels, moods and blinks (duomorph/wire/vmc.py).
function vowels({ names, sums, vowels: count }, shapes, pose) {
  const side = (name) => [name, `${name}Left`, `${name}Right`].map((one) => shapes.indexOf(one)).filter((k) => k >= 0);
  const level = Object.values(sums).map((terms) => Math.min(1, Math.max(0, Object.entries(terms).reduce((sum, [name, share]) =>
    sum + (name ? side(name).reduce((both, k) => both + pose[k], 0) * share : share), 0))));
  const scaled = (part) => { const all = Math.max(1, part.reduce((a, b) => a + b, 0)); return part.map((x) => x / all); };
  const eyes = side("eyeBlink").map((k) => pose[k]), both = Math.min(...eyes);
  return [...scaled(level.slice(0, count)), ...scaled(level.slice(count, names.length - 3)), both, eyes[0] - both, eyes[1] - both];
}
