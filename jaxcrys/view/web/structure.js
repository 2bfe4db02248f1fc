/** A crystal in three dimensions: atoms as spheres, the edges of its cells, its axes. */

/** Atoms this near to a face, in fractions of the cell, are repeated on the face opposite. */
const ON_FACE = 1e-4;

/** Spheres are smaller than atoms, so that one sees between them. */
const SMALLEST_SPHERE = 0.15;
const SPHERE_SHARE = 0.3;

/** Most atoms that are drawn with so fine spheres: steps of refinement, the finest first. */
const FINENESS = [[150, 2], [1200, 1], [Infinity, 0]];

/** How far beyond their vectors the names of the axes stand, in Å. */
const NAME_DISTANCE = 0.9;

/** Where a crystal is seen from at first: a points to the user, b to the right, c up. */
const EYE = { x: 2.1, y: 0.75, z: 0.65 };

/** Height and width of what is drawn, in units of plotly's scene; a picture is 2.2 high. */
const SIZE = 1.75;

/** Å around all that is drawn, for the names of the axes: what reaches beyond is cut off. */
const MARGIN = 0.8;

function cartesian(lattice, point) {
  return [0, 1, 2].map((axis) => point.reduce((sum, x, row) => sum + x * lattice[row][axis], 0));
}

/** Each site with the places of its atoms in some cells along each axis, faces included. */
function atomsIn(card, cells) {
  return card.sites.map((site) => {
    const places = [];
    for (let i = 0; i < site.atoms.length; i += 3) {
      const [xs, ys, zs] = site.atoms.slice(i, i + 3).map((x) => images(x, cells));
      for (const x of xs) for (const y of ys) for (const z of zs) places.push([x, y, z]);
    }
    return { site, places };
  });
}

/** A coordinate and what is equal to it between 0 and the number of cells, both included. */
function images(x, cells) {
  const found = [];
  for (let k = Math.ceil(-x - ON_FACE); x + k <= cells + ON_FACE; k += 1) found.push(x + k);
  return found;
}

/** A sphere of radius 1 as triangles: an icosahedron, each triangle cut in four some times. */
function sphere(refinements) {
  const g = (1 + Math.sqrt(5)) / 2;
  const points = [
    [-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g],
    [0, -1, -g], [0, 1, -g], [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1],
  ].map(unit);
  let faces = [
    [0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2],
    [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5],
    [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1],
  ];
  for (let step = 0; step < refinements; step += 1) {
    const middles = new Map();
    const middle = (a, b) => {
      const key = `${Math.min(a, b)},${Math.max(a, b)}`;
      if (!middles.has(key)) {
        middles.set(key, points.push(unit(points[a].map((x, i) => x + points[b][i]))) - 1);
      }
      return middles.get(key);
    };
    faces = faces.flatMap(([a, b, c]) => {
      const [ab, bc, ca] = [middle(a, b), middle(b, c), middle(c, a)];
      return [[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]];
    });
  }
  return { points, faces };
}

function unit(vector) {
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}

/** One mesh for all atoms of an element. */
function elementMesh(element, { colour: paint, radius }, atoms, ball, lattice) {
  const mesh = { x: [], y: [], z: [], i: [], j: [], k: [], text: [] };
  const size = SMALLEST_SPHERE + SPHERE_SHARE * radius;
  for (const { site, places } of atoms) {
    for (const place of places) {
      const first = mesh.x.length;
      const centre = cartesian(lattice, place);
      const label = `${element} ${site.label} (${place.map((x) => fixed(x, 4)).join(", ")})`;
      for (const point of ball.points) {
        mesh.x.push(centre[0] + size * point[0]);
        mesh.y.push(centre[1] + size * point[1]);
        mesh.z.push(centre[2] + size * point[2]);
        mesh.text.push(label);
      }
      for (const [i, j, k] of ball.faces) {
        mesh.i.push(first + i);
        mesh.j.push(first + j);
        mesh.k.push(first + k);
      }
    }
  }
  return {
    type: "mesh3d", name: element, color: paint, hovertemplate: "%{text}<extra></extra>", ...mesh,
    lighting: { ambient: 0.6, diffuse: 0.6, specular: 0.15, roughness: 0.5, fresnel: 0.05 },
    lightposition: { x: 1e5, y: 1e5, z: -1e5 },
  };
}

/** All edges of the cells as one line, and the axes with their names. */
function cellLines(lattice, cells) {
  const edges = { x: [], y: [], z: [] };
  const draw = (target, ...points) => {
    for (const point of points) {
      const place = point && cartesian(lattice, point);
      ["x", "y", "z"].forEach((axis, i) => target[axis].push(place ? place[i] : null));
    }
  };
  for (let axis = 0; axis < 3; axis += 1) {
    for (let i = 0; i <= cells; i += 1) {
      for (let j = 0; j <= cells; j += 1) {
        const from = [i, j];
        from.splice(axis, 0, 0);
        const to = [i, j];
        to.splice(axis, 0, cells);
        draw(edges, from, to, null);
      }
    }
  }
  const line = { type: "scatter3d", mode: "lines", hoverinfo: "skip" };
  const axes = ["a", "b", "c"].map((name, axis) => {
    const along = (length) => [0, 1, 2].map((other) => (other === axis ? length : 0));
    const beyond = along(cells + NAME_DISTANCE / Math.hypot(...lattice[axis]));
    const arrow = { x: [], y: [], z: [] };
    draw(arrow, along(0), along(cells), null, beyond); // its name stands apart from it
    return {
      ...line, ...arrow, mode: "lines+text", text: ["", "", "", name], name,
      line: { width: 4, color: colour(name) }, textfont: { size: 15, color: colour(name) },
      textposition: "middle center",
    };
  });
  return [{ ...line, ...edges, line: { width: 2, color: colour("edge") } }, ...axes];
}

/** Draw a crystal; the direction it is seen from is kept while the crystal is the same. */
function drawStructure(place, card, cells, elements) {
  const atoms = atomsIn(card, cells);
  const count = atoms.reduce((sum, { places }) => sum + places.length, 0);
  const ball = sphere(FINENESS.find(([most]) => count <= most)[1]);
  const meshes = [...new Set(card.sites.map((site) => site.element))].map((element) => {
    const own = atoms.filter(({ site }) => site.element === element);
    return elementMesh(element, elements[element], own, ball, card.lattice);
  });
  const traces = [...cellLines(card.lattice, cells), ...meshes];
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    uirevision: card.name, modebar: modeBar(),
    scene: {
      ...extent(traces), aspectmode: "manual", dragmode: "orbit", uirevision: card.name,
      camera: { eye: EYE, projection: { type: "orthographic" } },
    },
  };
  const config = {
    responsive: true, displaylogo: false,
    modeBarButtons: [["toImage", "resetCameraDefault3d"]],
    toImageButtonOptions: { filename: card.name, scale: 2 },
  };
  return Plotly.react(place, traces, layout, config);
}

/** Axes that are not seen, and a scene that all traces fill as they are seen at first. */
function extent(traces) {
  const axes = ["x", "y", "z"];
  const eye = unit([EYE.x, EYE.y, EYE.z]);
  const right = unit([-eye[1], eye[0], 0]);
  const up = [0, 1, 2].map((i) => [0, 0, 1][i] - eye[2] * eye[i]);
  const along = (direction) => range(traces, (trace, place) =>
    axes.reduce((sum, axis, i) => sum + direction[i] * trace[axis][place], 0));
  const seen = [right, unit(up)].map((direction) => along(direction));
  const scale = SIZE / Math.max(...seen.map(([low, high]) => high - low));
  const ends = axes.map((axis) => {
    const [low, high] = range(traces, (trace, place) => trace[axis][place]);
    return [low - MARGIN, high + MARGIN];
  });
  const [x, y, z] = ends.map(([low, high]) => scale * (high - low));
  const [xaxis, yaxis, zaxis] = ends.map((each) => ({ visible: false, range: each }));
  return { xaxis, yaxis, zaxis, aspectratio: { x, y, z } };
}

/** The smallest and largest value of a function of the points of some traces. */
function range(traces, value) {
  const ends = [Infinity, -Infinity];
  for (const trace of traces) {
    for (let place = 0; place < trace.x.length; place += 1) {
      if (trace.x[place] === null) continue;
      const found = value(trace, place);
      ends[0] = Math.min(ends[0], found);
      ends[1] = Math.max(ends[1], found);
    }
  }
  return ends;
}

/** The buttons of a picture, quiet. */
function modeBar() {
  return { bgcolor: "rgba(0,0,0,0)", color: colour("quiet"), activecolor: colour("accent") };
}
