create table high_water (
    one integer primary key,
    store_id varchar not null,
    sequence bigint not null,
    counts varchar not null
);

create table class_template (
    id varchar primary key,
    name varchar not null,
    classes varchar not null,
    revision integer not null,
    created_at double not null,
    updated_at double not null,
    trashed_at double
);

create table class_template_revision (
    class_template_id varchar not null,
    revision integer not null,
    body varchar not null,
    primary key (class_template_id, revision)
);

create table project (
    id varchar primary key,
    name varchar not null,
    class_template_id varchar not null,
    status varchar not null,
    engine varchar not null,
    revision integer not null,
    created_at double not null,
    updated_at double not null,
    trashed_at double
);

create table asset (
    id varchar primary key,
    project_id varchar not null,
    name varchar not null,
    stem varchar not null,
    kind varchar not null,
    source varchar not null,
    sampling varchar not null,
    state varchar not null,
    reason varchar not null,
    width integer not null,
    height integer not null,
    frame_count integer not null,
    fps double,
    duration double,
    rotation integer not null,
    codec varchar not null,
    skipped integer not null,
    revision integer not null,
    created_at double not null,
    trashed_at double
);

create table frame (
    id varchar primary key,
    asset_id varchar not null,
    index integer not null,
    source_index bigint not null,
    pts double,
    width integer not null,
    height integer not null,
    hash varchar not null,
    file varchar not null,
    thumb varchar not null,
    state varchar not null,
    revision integer not null
);
create index frame_asset on frame (asset_id);

-- asset_id, frame_index and certified repeat what frame_id and certificate say, so that counting needs no join.
create table region (
    id varchar primary key,
    frame_id varchar not null,
    asset_id varchar not null,
    frame_index integer not null,
    class_id integer not null,
    geometry varchar not null,
    track_id varchar,
    anchor boolean not null,
    certificate varchar,
    certified boolean not null,
    area bigint not null,
    author varchar not null,
    revision integer not null,
    created_at double not null,
    updated_at double not null
);
create index region_frame on region (frame_id);

create table track (
    id varchar primary key,
    project_id varchar not null,
    class_id integer not null,
    name varchar not null,
    revision integer not null,
    created_at double not null
);

create table edit (
    seq bigint primary key,
    id varchar not null unique,
    project_id varchar not null,
    actor varchar not null,
    kind varchar not null,
    label varchar not null,
    frame_id varchar,
    target varchar,
    changes varchar not null,
    reversible boolean not null,
    "at" double not null
);

create table job (
    id varchar primary key,
    project_id varchar not null,
    kind varchar not null,
    title varchar not null,
    state varchar not null,
    args varchar not null,
    done bigint not null,
    total bigint not null,
    rate double not null,
    eta_s double,
    message varchar not null,
    reason varchar not null,
    result varchar not null,
    attempt integer not null,
    collected bigint not null,
    heartbeat double not null,
    asset_id varchar,
    created_at double not null,
    started_at double,
    finished_at double,
    revision integer not null
);
